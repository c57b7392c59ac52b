# The library exports what PostgreSQL calls, and nothing else: a name of ours
# must not stand for another module's, nor the other way round.
use strict;
use warnings;

use FindBin;

use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::RealBin/../..";
my $library = "$top/albert.so";

-e $library or plan skip_all => 'the library is not built in the source tree';

my $sql = slurp_file("$top/albert--1.0.sql");
my %functions = map { $_ => 1 } $sql =~ /AS 'MODULE_PATHNAME', '(\w+)'/g;
my ($symbols, $errors);

IPC::Run::run([ 'nm', '-D', '--defined-only', $library ], '>', \$symbols, '2>', \$errors)
  or die "nm failed: $errors";
my %exported = map { (split)[-1] => 1 } split /\n/, $symbols;
my @wanted = (qw(Pg_magic_func _PG_init), map { ($_, "pg_finfo_$_") } keys %functions);

cmp_ok(scalar keys %functions, '>', 40, 'the functions of the SQL file are found');
is_deeply([ sort keys %exported ], [ sort @wanted ], 'exported is what PostgreSQL calls');
done_testing();

# The library exports what PostgreSQL calls, and nothing else: a name of ours
# must not stand for another module's, nor the other way round.
use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

chomp(my $library = `pg_config --pkglibdir`);
chomp(my $share = `pg_config --sharedir`);
my $sql = slurp_file("$share/extension/albert--1.0.sql");
my %functions = map { $_ => 1 } $sql =~ /AS 'MODULE_PATHNAME', '(\w+)'/g;
my ($symbols, $errors);

IPC::Run::run([ 'nm', '-D', '--defined-only', "$library/albert.so" ], '>', \$symbols, '2>', \$errors)
  or die "nm failed: $errors";
my %exported = map { (split)[-1] => 1 } split /\n/, $symbols;
my @wanted = (qw(Pg_magic_func _PG_init), map { ($_, "pg_finfo_$_") } keys %functions);

cmp_ok(scalar keys %functions, '>', 30, 'the functions of the SQL file are found');
is_deeply([ sort keys %exported ], [ sort @wanted ], 'exported is what PostgreSQL calls');
done_testing();

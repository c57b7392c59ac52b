# The library exports what PostgreSQL calls, and nothing else: a name of ours
# must not stand for another module's, nor the other way round.  And what it
# calls in other libraries has no name that the server itself has, which would
# be called instead: jansson's json_object() is SQL's.
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
# workers begin with a function that they find by its name
my @wanted = (qw(Pg_magic_func _PG_init AlbertPairsWorker AlbertPreloadWorker), map { ($_, "pg_finfo_$_") } keys %functions);

cmp_ok(scalar keys %functions, '>', 30, 'the functions of the SQL file are found');
is_deeply([ sort keys %exported ], [ sort @wanted ], 'exported is what PostgreSQL calls');

# ---- names of libraries that the server has as well ----

# lines(COMMAND...): what it prints
sub lines
{
	my @command = @_;
	my ($out, $err);

	IPC::Run::run(\@command, '>', \$out, '2>', \$err) or die "@command failed: $err";
	return split /\n/, $out;
}

# The names in nm's lines, without versions.
sub names
{
	return map { my $name = (split)[-1]; $name =~ s/\@.*//r => 1 } @_;
}

# Of a library's own names those that it looks up by name all the same, so that it may find the server's.
sub own_names
{
	return map { /^[0-9a-f]+\s+[0-9a-f]+\s+R_\w+\s+0*[1-9a-f][0-9a-f]*\s+([^\s@]+)/ ? $1 : () } lines('readelf', '-rW', $_[0]);
}

chomp(my $bindir = `pg_config --bindir`);
my %server = names(lines('nm', '-D', '--defined-only', "$bindir/postgres"));
my @modules = grep { -e } map { "$library/$_.so" } qw(albert albert_sentencepiece);
# those of the C library are the server's too: it is linked with it, and has copies of its variables
my %libraries = map { /=> (\/\S+)/ && $1 !~ m{/(libc|libm|libdl|libpthread|librt)\.so} ? ($1 => 1) : () } map { lines('ldd', $_) } @modules;
# opened by name
$libraries{$_} = 1 for grep { -e } `/sbin/ldconfig -p 2>/dev/null` =~ /libopenblas\.so\.0 .*=> (\S+)/;
my %provided = map { $_ => { names(lines('nm', '-D', '--defined-only', $_)) } } sort keys %libraries;
my ($jansson) = grep { /jansson/ } keys %provided;

ok($server{json_object} && $provided{$jansson}{json_object}, 'there is a name that both have');
for my $module (@modules)
{
	my %wanted = names(lines('nm', '-D', '--undefined-only', $module));
	my @clashes = grep { my $name = $_; $server{$name} && grep { $_->{$name} } values %provided } sort keys %wanted;

	is("@clashes", '', "$module calls no library by a name of the server's");
}
for my $file (sort keys %provided)
{
	my %seen;
	my @clashes = grep { $server{$_} && $provided{$file}{$_} && !$seen{$_}++ } own_names($file);

	is("@clashes", '', "$file does not call itself by one");
}
done_testing();

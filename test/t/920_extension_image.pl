# The extension outside the server's directories, as an image that is mounted beside it: lib/ and share/.
use strict;
use warnings;

use AlbertTest;
use Cwd qw(abs_path);
use File::Copy qw(copy);
use File::Path qw(make_path);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('image');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\n");
$node->start;
my ($lib, $share) = split /\|/,
  $node->safe_psql('postgres', q{SELECT max(setting) FILTER (WHERE name = 'PKGLIBDIR'), max(setting) FILTER (WHERE name = 'SHAREDIR') FROM pg_config});

# What is in the server is copied, and the model gets a name that the server's own directory does not have.
sub image
{
	my ($libdir, $sharedir, $model) = @_;

	make_path($libdir, "$sharedir/extension", "$sharedir/albert");
	for my $module ('albert.so', 'albert_sentencepiece.so')
	{
		copy("$lib/$module", "$libdir/$module") or die "$module: $!";
	}
	copy($_, "$sharedir/extension/") or die "$_: $!" for glob("$share/extension/albert*");
	system_or_bail('cp', '-RL', "$share/albert/albert-mini", "$sharedir/albert/$model");
}

# its function without the extension: which library it is, is then certain
sub counts
{
	my ($libdir, $model) = @_;
	my ($result, $stdout, $stderr) = $node->psql('postgres', <<SQL);
CREATE OR REPLACE FUNCTION pg_temp.tokens(content text, model text, special_tokens boolean, pair text) RETURNS integer AS '$libdir/albert', 'albert_token_count' LANGUAGE C STRICT;
SELECT pg_temp.tokens('A violin has four strings.', '$model', true, '') > 5;
SQL
	return $result == 0 ? $stdout : $stderr;
}

my $root = abs_path($node->basedir);
image("$root/mounted/lib", "$root/mounted/share", 'mini-mounted');
is(counts("$root/mounted/lib", 'mini-mounted'), 't', 'lib and share: $sharedir is beside the library');
like(counts("$root/mounted/lib", 'albert-mini'), qr/model "albert-mini" does not exist/, 'and not the server\'s');

image("$root/other$lib", "$root/other$share", 'mini-other');
is(counts("$root/other$lib", 'mini-other'), 't', 'another root with the server\'s directories below it');

like(counts($lib, 'mini-mounted'), qr/model "mini-mounted" does not exist/, 'the server\'s own library looks into the server\'s directory');
is(counts($lib, 'albert-mini'), 't', 'and finds its model');

# PostgreSQL's own paths to images, from 18 on
if (major_version($node) >= 18)
{
	$node->append_conf('postgresql.conf', <<CONF);
extension_control_path = '$root/mounted/share:\$system'
dynamic_library_path = '$root/mounted/lib:\$libdir'
albert.model = 'mini-mounted'
CONF
	$node->restart;
	$node->safe_psql('postgres', 'CREATE EXTENSION albert');
	is($node->safe_psql('postgres', q{SELECT albert_fill_mask('The capital of [MASK] is Delhi.')}), 'india', 'CREATE EXTENSION from a mounted image, and its model');

	# The control file and the models alone are elsewhere.
	unlink "$root/mounted/lib/albert.so";
	$node->restart;
	is($node->safe_psql('postgres', q{SELECT albert_fill_mask('The capital of [MASK] is Delhi.')}), 'india', 'models beside the control file');

	# With the library preloaded, and the model too.
	image("$root/mounted/lib", "$root/mounted/share", 'mini-second');
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'albert'\nalbert.preload_models = 'mini-mounted'\n");
	$node->restart;
	ok($node->poll_query_until('postgres', q{SELECT state = 'loaded' FROM albert_models WHERE name = 'mini-mounted'}), 'a mounted model is preloaded');
}

$node->stop;
done_testing();

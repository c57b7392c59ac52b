# docs.pl FILE...
#	  Runs the ```sql blocks of Markdown files, each file in a database of its
#	  own, each block in one psql session.  A block must run without an error,
#	  and must print what the ```text block right after it shows, if there is
#	  one.  With DOCS_UPDATE=1 the ```text blocks are written instead.
#
#	  A block below a line <!-- needs MODEL --> is left out when there is no such
#	  model, one below <!-- needs extension NAME --> when the server lacks it.
#	  Below a line <!-- tested with A for B, C for D --> A stands in for B, C for
#	  D: a model, and then what the block prints does not matter, or $NAME, the
#	  value of an environment variable.  <!-- after FILE --> runs a file of SQL
#	  before the block: what is to be there, and cannot be had.
#
#	  PSQL, PGHOST, PGUSER and PGDATABASE tell where.
use strict;
use warnings;

my $psql = $ENV{PSQL} || 'psql';
my $update = $ENV{DOCS_UPDATE};
my ($passed, $failed) = (0, 0);

sub slurp
{
	my ($name) = @_;
	open(my $file, '<:raw', $name) or die "$name: $!\n";
	local $/;
	return scalar <$file>;
}

# The output of a script, errors among it, and whether it ended well.
sub run_psql
{
	my ($database, $script) = @_;
	my $name = "$ENV{PGHOST}/block.sql";
	open(my $file, '>:raw', $name) or die "$name: $!\n";
	print $file $script;
	close $file;
	my $output = `$psql -X -q -v ON_ERROR_STOP=1 -d $database -f $name 2>&1`;
	my $status = $?;
	$output =~ s/^psql:\S+block\.sql:\d+: //mg;
	$output =~ s/[ \t]+$//mg;
	$output =~ s/\n+\z/\n/;
	return ($output, $status == 0);
}

sub has_model
{
	my ($database, $model) = @_;
	my ($there) = run_psql($database, "\\pset tuples_only on\n\\pset format unaligned\nSELECT 'there' FROM albert_models WHERE name = '$model';\n");
	return $there =~ /^there/m;
}

my $number = 0;
foreach my $name (@ARGV)
{
	my $database = 'docs_' . ++$number;
	my ($out, $ok) = run_psql($ENV{PGDATABASE}, "CREATE DATABASE $database;\n");
	die $out if !$ok;

	my @lines = split /^/, slurp($name);
	my @result;
	my ($reason, $other_model, $before);
	my %stand_in;				# by what it stands for
	my $i = 0;
	while ($i < @lines)
	{
		my $line = $lines[ $i++ ];
		push @result, $line;
		if ($line =~ /^<!-- after (\S+) *-->/)
		{
			$before = slurp($1);
			next;
		}
		if ($line =~ /^<!-- needs extension (\S+) *-->/)
		{
			my ($there) = run_psql($database, "\\pset tuples_only on\n\\pset format unaligned\nSELECT 'there' FROM pg_available_extensions WHERE name = '$1';\n");
			$reason = $1 eq 'vector' ? 'pgvector is not installed' : "needs the extension $1" if $there !~ /^there/m;
			next;
		}
		if ($line =~ /^<!-- needs (\S+) *-->/)
		{
			$reason //= "needs the model $1" if !has_model($database, $1);
			next;
		}
		if ($line =~ /^<!-- tested with (.*?) *-->/)
		{
			foreach my $pair (split /, /, $1)
			{
				my ($stand_in, $shown) = split / for /, $pair;
				if ($stand_in =~ /^\$(\w+)$/)
				{
					$stand_in{$shown} = $ENV{$1} // die "$name: $1 is not in the environment\n";
					next;
				}
				$stand_in{$shown} = $stand_in;
				$other_model = 1;
				$reason //= "needs the model $stand_in" if !has_model($database, $stand_in);
			}
			next;
		}
		next if $line !~ /^```/;
		my $first = $i;
		my $script = '';
		while ($i < @lines && $lines[$i] !~ /^```\s*$/)
		{
			$script .= $lines[$i];
			push @result, $lines[ $i++ ];
		}
		push @result, $lines[ $i++ ] if $i < @lines;
		next if $line !~ /^```sql\s*$/;

		if (defined $reason)
		{
			print "skipped: $reason\n";
			undef $_ foreach $reason, $other_model, $before;
			%stand_in = ();
			next;
		}
		$script =~ s/\Q$_\E/$stand_in{$_}/g foreach keys %stand_in;
		if (defined $before)
		{
			my ($out, $ok) = run_psql($database, $before);
			die "$name:$first: $out" if !$ok;
			undef $before;
		}
		my ($output, $good) = run_psql($database, $script);

		# the answer that is shown, if one is
		my $next = $i;
		$next++ while $next < @lines && $lines[$next] =~ /^\s*$/;
		if ($next < @lines && $lines[$next] =~ /^```text\s*$/)
		{
			push @result, @lines[ $i .. $next ];
			$i = $next + 1;
			my $shown = '';
			while ($i < @lines && $lines[$i] !~ /^```\s*$/)
			{
				$shown .= $lines[ $i++ ];
			}
			push @result, $other_model ? $shown : $output;
			push @result, $lines[ $i++ ] if $i < @lines;
			if ($good && !$update && !$other_model && $output ne $shown)
			{
				print "$name:$first: the answer differs\n-- shown\n$shown-- given\n$output";
				$failed++;
				next;
			}
		}
		undef $other_model;
		%stand_in = ();
		if ($good)
		{
			$passed++;
		}
		else
		{
			print "$name:$first: fails\n$script-- gives\n$output";
			$failed++;
		}
	}
	if ($update)
	{
		my $text = join('', @result);
		if ($text ne slurp($name))
		{
			open(my $file, '>:raw', $name) or die "$name: $!\n";
			print $file $text;
			close $file;
			print "$name: written\n";
		}
	}
}
print "$passed passed, $failed failed\n";
exit($failed != 0 || $passed == 0);

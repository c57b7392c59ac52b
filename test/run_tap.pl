# run_tap.pl COUNTS LOG COMMAND...
#	  Runs a command that writes TAP and tells what came of it: the tests that
#	  failed with what was said around them, and why others were skipped.
#	  COUNTS becomes "PASSED FAILED", then a line "NUMBER<tab>REASON" for each
#	  reason to skip; LOG everything that was written.  A figure that a test
#	  wants to be seen is in a comment "figure: ...".
use strict;
use warnings;

use TAP::Parser;

my ($counts, $log, @command) = @ARGV;
my ($passed, $failed) = (0, 0);
my (%skipped, @figures, @said, @wrong);
my $parser = TAP::Parser->new({ exec => \@command, merge => 1 });

open(my $out, '>', $log) or die "$log: $!\n";
while (my $result = $parser->next)
{
	my $line = $result->as_string;

	print $out "$line\n";
	if ($result->is_plan && $result->has_skip)
	{
		$skipped{ $result->explanation }++;
	}
	elsif ($result->is_test)
	{
		if ($result->has_skip)       { $skipped{ $result->explanation }++; }
		elsif ($result->is_ok)       { $passed++; }
		else                         { $failed++; }
		push @wrong, @said if @said && @wrong;
		@said = ();
		push @wrong, $line if !$result->is_ok;
	}
	elsif ($line =~ /^# figure: (.*)/)
	{
		push @figures, $1;
	}
	else
	{
		push @said, $line;
	}
}
push @wrong, @said;

my @broken = $parser->parse_errors;
push @broken, 'exit status ' . $parser->exit if $parser->exit;
if (@broken && !$failed)
{
	$failed = 1;
}
print "    $_\n" for @figures;
if ($failed)
{
	my $from = @wrong > 80 ? @wrong - 80 : 0;

	print "    $_\n" for @wrong[ $from .. $#wrong ], @broken;
}

open(my $file, '>', $counts) or die "$counts: $!\n";
print $file "$passed $failed\n";
print $file "$skipped{$_}\t$_\n" for sort keys %skipped;
close $file or die "$counts: $!\n";

# AlbertSession.pm
#	  A psql that stays open: statements can be sent without waiting for their
#	  answers, and its server process is known, so that it can be stopped,
#	  killed and looked at.
package AlbertSession;

use strict;
use warnings;

use IPC::Run;
use Time::HiRes qw(sleep time);
use Test::More;

# AlbertSession->new($node, $database, %options): user => ..., settings => "-c x=y"
sub new
{
	my ($class, $node, $database, %options) = @_;
	my $self = bless { in => '', out => '', err => '', n => 0 }, $class;
	my @command = ($node->installed_command('psql'), '-XAtq', '-d', $node->connstr($database));

	push @command, '-U', $options{user} if defined $options{user};
	local $ENV{PGOPTIONS} = $options{settings} if defined $options{settings};
	$self->{run} = IPC::Run::start(\@command, '<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err});
	($self->{pid}) = $self->query('SELECT pg_backend_pid()') =~ /(\d+)/;
	return $self;
}

# The server process.
sub pid
{
	return $_[0]->{pid};
}

# Send statements; do not wait.
sub send
{
	my ($self, $sql) = @_;

	$sql .= ';' unless $sql =~ /^\\[^\n]*$/;
	$self->{n}++;
	$self->{in} .= "$sql\n\\echo done $self->{n}\n\\warn done $self->{n}\n";
	$self->_pump;
	return;
}

sub _pump
{
	my ($self) = @_;

	eval { $self->{run}->pump_nb if $self->{run}->pumpable; 1 } or return 0;
	return $self->{run}->pumpable;
}

# Is psql still there?  It leaves when its connection is lost.
sub alive
{
	return $_[0]->_pump;
}

# Have the statements sent last been answered?
sub ready
{
	my ($self) = @_;

	$self->_pump;
	return $self->{out} =~ /^done $self->{n}\n/m && $self->{err} =~ /^done $self->{n}\n/m;
}

# What the statements sent last answered, and errors and warnings.  A session
# whose connection is lost answers what it has.
sub wait
{
	my ($self, $seconds) = @_;
	my $end = time + ($seconds // 180);
	my ($out, $err);

	until ($self->ready)
	{
		if (!$self->_pump)
		{
			# What it still had to say may be lost where writing to it failed first.
			eval { $self->{run}->finish };
			$self->{err} .= "connection to server was lost\n"
			  unless $self->ready || $self->{err} =~ /connection/;
			last;
		}
		if (time > $end)
		{
			diag("no answer from a session; errors so far: $self->{err}");
			last;
		}
		sleep 0.002;
	}
	($out, $err) = ($self->{out}, $self->{err});
	s/^done \d+\n//mg for $out, $err;
	$self->{out} = $self->{err} = '';
	chomp $out;
	chomp $err;
	return wantarray ? ($out, $err) : $out;
}

# Send and wait; in list context also errors and warnings.
sub query
{
	my ($self, $sql) = @_;

	$self->send($sql);
	return $self->wait;
}

sub quit
{
	my ($self) = @_;

	$self->{in} .= "\\q\n";
	eval { $self->{run}->finish; 1 } or return;
	return;
}

1;

#!/usr/bin/perl
# systemctl of a sandbox node: passes its arguments to the node's supervisor and prints the answer. In
# Perl, because it is started for every look at a unit and a Node costs ten times what the real one
# does. First argument: the root of the node.
use strict;
use warnings;
use Socket;

my $root = shift @ARGV;
# Relative, because an absolute path may be longer than the address of a socket can be.
chdir $root or die "$root: $!\n";
socket(my $socket, PF_UNIX, SOCK_STREAM, 0) or die "socket: $!\n";
if (!connect($socket, sockaddr_un('run/systemd/sandbox.sock'))) {
  print STDERR "System has not been booted with systemd as init system (PID 1). Can't operate.\n";
  print STDERR "Failed to connect to bus: Host is down\n";
  exit 1;
}
my @words = map { my $word = $_; $word =~ s/(["\\])/\\$1/g; "\"$word\"" } @ARGV;
syswrite($socket, '[' . join(',', @words) . "]\n");
my $answer = '';
while (sysread($socket, my $part, 65536)) { $answer .= $part }

sub text_of {
  my ($name) = @_;
  return '' unless $answer =~ /"$name":"([^"\\]*(?:\\.[^"\\]*)*)"/s;
  my ($text, %escapes) = ($1, n => "\n", t => "\t", r => "\r", b => "\b", f => "\f");
  $text =~ s/\\(?:u([0-9a-fA-F]{4})|(.))/defined $1 ? chr hex $1 : $escapes{$2} \/\/ $2/ge;
  return $text;
}
print STDOUT text_of('stdout');
print STDERR text_of('stderr');
exit($answer =~ /"code":(\d+)/ ? $1 : 1);

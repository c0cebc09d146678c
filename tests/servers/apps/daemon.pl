# HTTP::Daemon, the server of libwww-perl. The page is chosen by a regular expression, as Dancer2 does
# it, for which the end of a line is the end of the path.
use strict;
use warnings;
use HTTP::Daemon;
use HTTP::Response;
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use URI::Escape qw(uri_unescape);

my $daemon = HTTP::Daemon->new(LocalAddr => '127.0.0.1', LocalPort => $ARGV[0], ReuseAddr => 1)
    or die $!;
$SIG{CHLD} = 'IGNORE';

while (my $connection = $daemon->accept) {
    if (fork) {
        undef $connection;
        next;
    }
    # It writes head and body one by one; Nagle's algorithm would hold the second back.
    setsockopt($connection, IPPROTO_TCP, TCP_NODELAY, 1);
    while (my $request = $connection->get_request) {
        my $path = uri_unescape($request->uri->path);
        my @fields;
        $request->headers->scan(sub { push @fields, unpack('H*', $_[0]) . '=' . unpack('H*', $_[1]) });
        my $line = join(
            ' ',
            unpack('H*', $request->method),
            unpack('H*', $path),
            $path =~ m{^/admin(?:/|$)} ? 'admin' : 'page',
            unpack('H*', join(',', $request->header('X-Session'))),
            unpack('H*', $request->uri->scheme // 'http'),
            $connection->peerport,
            unpack('H*', $request->content),
            @fields
        ) . "\n";
        open(my $seen, '>>', $ENV{SEEN}) or die $!;
        syswrite $seen, $line;
        close $seen;
        $connection->send_response(
            HTTP::Response->new(200, 'OK', ['Content-Type' => 'text/plain'], $line));
    }
    exit;
}

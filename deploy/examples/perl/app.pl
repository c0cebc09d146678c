#!/usr/bin/perl
# A small shop that does not handle cookies: the session comes as JSON in X-Session.
use strict;
use warnings;
use Encode qw(decode);
use JSON::PP;
binmode STDOUT, ':utf8';

my $json    = JSON::PP->new->ascii;
my $session = $json->decode($ENV{HTTP_X_SESSION});
my $basket  = $session->{basket} // {};
my $path    = $ENV{PATH_INFO} // '/';

sub html { return $_[0] =~ s/([&<>"'])/'&#' . ord($1) . ';'/ger }

sub page {
    my ($status, $main) = @_;    # no-store, with Clear-Site-Data below: the back button shows nothing private.
    print "Status: $status\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n\r\n";
    print "<!doctype html>\n<title>Hats and coats</title>\n<h1>Hats and coats, in Perl</h1>\n$main";
    exit;
}

if ($ENV{REQUEST_METHOD} eq 'POST') {
    # SameSite does not send the session with forms of other sites, but their answers could replace it.
    my $origin = $ENV{HTTP_ORIGIN};
    page(403, "<p>That form is not ours.\n") if defined $origin && $origin !~ m{^https?://\Q$ENV{HTTP_HOST}\E\z};
    read STDIN, my $body, 10_000;
    my %form = map { decode('UTF-8', s/%(..)/chr hex $1/ger) } map { tr/+/ /; (split(/=/, $_, 2), '')[0, 1] } split /&/, $body;
    my ($name, $article) = ($form{name} // '', $form{article} // '');
    my $control;
    if ($path eq '/login' && $name =~ /^[^\x00-\x1f\x7f-\x9f]{1,40}\z/) {
        $control = 'X-Session-Save: ' . $json->encode({ %$session, name => $name }) . "\r\nX-Session-Max-Age: " . ($form{remember} ? 2592000 : 0);
    } elsif ($path eq '/count') {
        $control = 'X-Session-Merge: ' . $json->encode({ count => ($session->{count} // 0) + 1 });
    } elsif ($path eq '/basket' && $article =~ /^(hat|coat)\z/) {
        $control = 'X-Session-Merge: ' . $json->encode({ basket => { $article => ($basket->{$article} // 0) + 1 } });
    } elsif ($path eq '/empty') {
        $control = 'X-Session-Merge: {"basket":null}';
    } elsif ($path eq '/logout') {
        $control = qq(X-Session-Delete: 1\r\nClear-Site-Data: "cache");
    } else { page(403, "<p>That form is not ours.\n") }
    print "Status: 303 See Other\r\n$control\r\nLocation: /\r\n\r\n";
} elsif ($path eq '/session') {
    page(200, '<pre id=session>' . html($ENV{HTTP_X_SESSION}) . "</pre>\n<p><a href=/>Back</a>\n");
} elsif ($path eq '/') {
    my ($name, $count, $hats, $coats) = map { html($_ // 0) } $session->{name}, $session->{count}, @$basket{qw(hat coat)};
    my $who = defined $session->{name}
        ? qq(<form method=post action=/logout>Hello, <b id=name>$name</b>. <button>Log out</button></form>)
        : '<form method=post action=/login>Name: <input name=name required maxlength=40> <label><input type=checkbox name=remember> remember me</label> <button>Log in</button></form>';
    page(200, <<"SHOP");
$who
<form method=post action=/count><p>Count: <b id=count>$count</b> <button>Count</button></form>
<form method=post action=/basket><p>Hats: <b id=hat>$hats</b> <button name=article value=hat>Take a hat</button></form>
<form method=post action=/basket><p>Coats: <b id=coat>$coats</b> <button name=article value=coat>Take a coat</button></form>
<form method=post action=/empty><p><button>Put all back</button></form>
<p><a href=/session>What is in the session</a>
SHOP
} else { page(404, "<p>There is no such page.\n") }

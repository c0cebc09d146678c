package Plack::Middleware::Session;

# Plack::Middleware::Session of its own tests, with the adapter, and a session that comes from and goes to a real cloakroom.
# What the tests give as a session's id, in the query or a cookie, stands here for the browser that has that session.

use strict;
use warnings;
use parent qw(Plack::Middleware);
use HTTP::Tiny;
use JSON::PP qw(encode_json);
use MIME::Base64 qw(encode_base64url);
use Plack::Middleware::Cloakroom;
use Plack::Util::Accessor qw(state store);

my %tokens;    # by id

sub exchange {
    my ($token, %say) = @_;
    my %headers = (Say => encode_base64url(encode_json(\%say)), $token ? (Cookie => "session=$token") : ());
    return HTTP::Tiny->new->get("http://127.0.0.1:$ENV{SIDECAR}/", { headers => \%headers });
}

sub call {
    my ($self, $env) = @_;
    my ($given) = join('&', map { $_ // '' } @$env{qw(QUERY_STRING HTTP_COOKIE)}) =~ /plack_session=([^&;]*)/;
    my $token = defined $given ? $tokens{$given} : undef;
    $env->{HTTP_X_SESSION} = exchange($token)->{content};
    my $answer = Plack::Middleware::Cloakroom->wrap($self->app)->($env);
    return $self->response_cb($answer, sub {
        my ($headers) = $_[0][1];
        my @all = splice @$headers;
        my %say;
        while (my ($name, $value) = splice @all, 0, 2) {
            if   ($name =~ /^X-Session-/) { $say{$name} = $value }
            else                          { push @$headers, $name, $value }
        }
        my $cookie = exchange($token, %say)->{headers}{'set-cookie'} // return;
        my ($new, $attributes) = $cookie =~ /^session=([^;]*)(.*)/;
        my $id = $env->{'psgix.session.options'}{id};
        if   ($new eq '') { delete $tokens{$given} }
        else              { $tokens{$id} = $new }
        push @$headers, 'Set-Cookie', "plack_session=$id$attributes";
        return;
    });
}

1;

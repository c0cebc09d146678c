# Perl's app; rules.py says what it answers to. The adapter lies as Plack/Middleware/Cloakroom.pm in @INC.
use strict;
use warnings;
use Encode qw(decode);
use JSON::PP ();
use Plack::Builder;
use Plack::Request;

my $json = JSON::PP->new->utf8->canonical->allow_nonref->allow_bignum->allow_blessed->convert_blessed;

# What JSON::PP reads as text, since Perl would round it, is a number: the app keeps it as one.
sub large {
    my ($value) = @_;
    return { map { $_ => large($value->{$_}) } keys %$value } if ref $value eq 'HASH';
    return [map { large($_) } @$value] if ref $value eq 'ARRAY';
    return ref $value eq 'Math::BigFloat' ? 0 + "$value" : $value;
}

my %pages = (
    '/show' => sub { $json->encode({ %{ $_[0] } }) },
    '/read' => sub { scalar keys %{ $_[0] } },
    '/set'  => sub { my ($session, $request, $key) = @_; $session->{$key} = large($json->decode($request->content)); 'ok' },
    '/drop' => sub { delete $_[0]{ $_[2] }; 'ok' },
    '/bad'  => sub { $_[0]{ $_[2] } = sub { 1 }; 'ok' },
    '/login' => sub {
        my ($session, $request) = @_;
        $request->session_options->{change_id} = 1;
        $session->{user} = decode('UTF-8', $request->query_parameters->{name});
        return 'ok';
    },
    '/logout' => sub { $_[1]->session_options->{expire} = 1; 'ok' },

    '/count' => sub {
        # Perl makes a text of a number that is printed, and a number of a text that is added to.
        my ($session) = @_;
        my $line = "You were here $session->{n} times, $session->{deep}{n}, @{ $session->{list} }";
        my $sum  = $session->{digits} + $session->{deep}{digits};
        $session->{touched} = 1;
        return "$line $sum";
    },
    '/increment' => sub {
        my ($session) = @_;
        $session->{n}++;
        $session->{deep}{n} += 1;
        $session->{text}    = '007';
        $session->{digits}  = '12';
        $session->{yes}     = JSON::PP::true();
        $session->{no}      = \0;
        $session->{third}   = 1 / 3;
        $session->{large}   = Math::BigInt->new('123456789012345678901234567890');
        $session->{nothing} = undef;
        return "$session->{n} $session->{deep}{n}";
    },
    '/values' => sub {
        my ($session) = @_;
        my $circle = {};
        $circle->{circle} = $circle;
        my %values = (
            code => sub { 1 }, object => bless({}, 'Cart'), nan => 9**9**9 / 9**9**9, infinite => -9**9**9,
            regex => qr/x/, scalar => \'x', glob => *STDOUT, handle => \*STDOUT, circle => $circle,
            deep => { deeper => [bless [], 'Cart'] },
        );
        my %refused;
        for my $key (keys %values) {
            eval { $session->{$key} = $values{$key}; 1 } or $refused{$key} = "$@";
        }
        eval { $session->{_session_id} = 1; 1 } or $refused{_session_id} = "$@";
        return $json->encode({ refused => \%refused, left => [keys %$session] });
    },
    '/inside'   => sub { $_[0]{ $_[2] }{inside} = bless {}, 'Cart'; 'ok' },
    '/push'     => sub { push @{ $_[0]{ $_[2] } }, 2; 'ok' },
    '/empty'    => sub { %{ $_[0] } = (); 'ok' },
    '/replace'  => sub { $_[1]->env->{'psgix.session'} = $json->decode($_[1]->content); 'ok' },
    '/expires'  => sub { $_[0]{user} = 'Ann'; $_[1]->session_options->{expires} = time + 100; 'ok' },
    '/no-store' => sub { $_[0]{user} = 'Ann'; $_[1]->session_options->{no_store} = 1; 'ok' },
    '/id'       => sub { $_[1]->session_options->{id} },
    '/die'      => sub { $_[0]{user} = 'Ann'; die "of the app\n" },
    '/take-flash' => sub { join ',', @{ delete $_[0]{flash} || [] } },
    '/flash'      => sub { push @{ $_[0]{flash} }, 'Saved.'; 'ok' },
    '/still'      => sub { 'no session here' },
);

my $app = sub {
    my ($env)   = @_;
    my $request = Plack::Request->new($env);
    my $session = $env->{'psgix.session'};
    my $path    = $request->path;
    if ($path =~ m{^/(?:stream|late)$}) {
        return sub {
            my ($respond) = @_;
            $session->{streamed} = 1 if $path eq '/stream';
            my $writer = $respond->([200, ['Content-Type' => 'text/plain']]);
            $writer->write('a');
            $session->{late} = 1 if $path eq '/late';
            $writer->close;
        };
    }
    if ($path eq '/public') {
        $session->{ $request->query_parameters->{key} } = 1;
        return [200, ['Cache-Control' => 'public', 'Cache-Control' => 'max-age=60'], []];
    }
    if ($path eq '/delayed') {
        return sub { $session->{delayed} = 1; $_[0]->([200, ['Content-Type' => 'text/plain'], ['ok']]) };
    }
    my $body = $pages{$path}->($session, $request, $request->query_parameters->{key});
    return [200, ['Content-Type' => 'application/json'], [$body]];
};

builder {
    enable 'Cloakroom', header => $ENV{PREFIX} || 'X-Session';
    $app;
};

package Signed;
# Whether cloakroom has signed a request (RFC 9421): with CGI Signed::request(\%ENV), with PSGI Signed::request($env).
use strict;
use warnings;
use Digest::SHA qw(hmac_sha256);
use MIME::Base64 qw(encode_base64);

# The secrets of headers.signature by id; two of them while you replace one.
our %KEYS = ('2026' => '/run/secrets/app_signature_key');
# Each header of [headers.claims] that the app reads.
our @FIELDS = ('x-session', 'x-remote-user');

my $INPUT = qr/\Acloakroom=(\(("[^"]+"(?: "[^"]+")*)\);created=\d+;expires=(\d+);keyid="([^"]*)";alg="hmac-sha256")\z/;

sub request {
    my ($env) = @_;
    my $field = sub { $env->{ 'HTTP_' . uc($_[0] =~ tr/-/_/r) } };
    my ($parameters, $quoted, $expires, $id) = ($field->('signature-input') // '') =~ $INPUT or return 0;
    my ($signature) = ($field->('signature') // '') =~ m{\Acloakroom=:([A-Za-z0-9+/]{43}=):\z} or return 0;
    my @names = split / /, $quoted =~ tr/"//dr;
    my %signed = map { $_ => 1 } @names;
    # A header that is present but not signed is forged.
    my @told = grep { defined $field->($_) } @FIELDS;
    return 0 if grep { !$signed{$_} } '@method', '@request-target', 'x-session', @told;
    return 0 if $expires <= time || !exists $KEYS{$id};
    my %value = ('@method' => $env->{REQUEST_METHOD}, '@request-target' => $env->{REQUEST_URI});
    my $base  = join '', map { "\"$_\": " . ($value{$_} // $field->($_) // '') . "\n" } @names;
    my $right = encode_base64(hmac_sha256("$base\"\@signature-params\": $parameters", secret($KEYS{$id})), '');
    # Of equal length. Compares every byte, so that the time does not show how many are right.
    return ($right ^ $signature) !~ /[^\0]/;
}

sub secret {
    my ($path) = @_;
    open my $file, '<:raw', $path or die "$path: $!";
    local $/;
    return <$file> =~ s/\r?\n\z//r;
}

1;

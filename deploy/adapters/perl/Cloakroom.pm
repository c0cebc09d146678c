package Plack::Middleware::Cloakroom;

# psgix.session and psgix.session.options, as with Plack::Middleware::Session, behind cloakroom: the session
# comes in X-Session, and is sent back in X-Session-Save if it has changed. Uses no cookie, no key and no store.
#   enable 'Cloakroom';

use strict;
use warnings; no warnings 'recursion';
use parent qw(Plack::Middleware);
use Plack::Util::Accessor qw(header);
use B ();
use Carp qw(croak);
use JSON::PP ();
use Math::BigInt ();
use Scalar::Util qw(blessed reftype);

our @CARP_NOT = ('Plack::Middleware::Cloakroom::Values');
my $ID     = '_session_id';    # the key of an id, created when the app first asks for one
my $JSON   = JSON::PP->new->ascii->allow_nonref;
my $STRING = qr/"(?:[^"\\]++|\\.)*+"/;
my $VALUE  = qr/(?<value>$STRING|[^"\[\]{},:\s]++|[\[{](?:(?&value)|[,:])*+[\]}])/;

sub call {
    my ($self, $env) = @_;
    my $prefix = $self->header // 'X-Session';
    my $text   = $env->{ 'HTTP_' . uc $prefix =~ tr/-/_/r };
    if (!defined $text) {
        tie my %none, 'Plack::Middleware::Cloakroom::Missing', $prefix;
        $env->{'psgix.session'} = $env->{'psgix.session.options'} = \%none;
        return $self->app->($env);
    }
    my $was = eval { members($text) } or die "$prefix cannot be read: $@";

    my %now = map { $_->{key} => $_ } grep { $_->{key} ne $ID } @$was;
    my ($id) = map { decoded($_->{text}) } grep { $_->{key} eq $ID } @$was;
    my $known = defined $id;
    tie my %session, 'Plack::Middleware::Cloakroom::Values', \%now;
    my %options;
    tie $options{id}, 'Plack::Middleware::Cloakroom::Id', \$id;
    $env->{'psgix.session'}         = \%session;
    $env->{'psgix.session.options'} = \%options;

    return $self->response_cb($self->app->($env), sub {
        my $res     = shift;
        my $asked   = $id;      # an id that the access log asks for later is not in this answer
        my @headers = headers($env, $was, $asked, $known);
        my $all     = Plack::Util::headers($res->[1]);
        my $cache   = join(', ', $all->get('Cache-Control')) =~ s/,? *\b(?:public|private)\b(?!=)//gir;
        $all->set('Cache-Control', "$cache, private" =~ s/^[, ]+//r) if @headers;    # for caches between app and sidecar
        $all->push("$prefix-$_->[0]", $_->[1]) for @headers;
        return if defined $res->[2];
        my $sent = join "\n", map { @$_ } @headers;
        return sub {    # for a streamed answer, at its end
            warn "session: a change after the headers were sent is not saved\n"
                if !defined $_[0] && $sent ne join "\n", map { @$_ } headers($env, $was, $asked, $known);
            return $_[0];
        };
    });
}

# What to tell the sidecar: the rest of each header's name, and its value.
sub headers {
    my ($env, $was, $id, $known) = @_;
    my $options = $env->{'psgix.session.options'} || {};
    return if $options->{no_store};
    return ['Delete', 1] if $options->{expire};
    my $session = $env->{'psgix.session'} || {};
    die "session: psgix.session is not a hash\n" unless (reftype($session) // '') eq 'HASH';
    my %left   = map { $_ => 1 } keys %$session;
    my $values = tied %$session || $session;
    my (@members, $changed);
    for my $member (@$was) {
        my $key = $member->{key};
        if ($key eq $ID && !$options->{change_id}) {
            push @members, $member if %$session;    # an id alone does not create a session
        } elsif (delete $left{$key}) {
            my $same = ref $values->{$key} eq ref $member;    # the app has not read it
            $same ||= opened($member) && json($session->{$key}, '', $member->{tree}) eq $member->{json};
            push @members, $same ? $member : { key => $key, text => json($session->{$key}, "{$key}", $member->{tree}) };
            $changed ||= !$same;
        } else { $changed = 1 }
    }
    for my $key (sort keys %left) {
        allow($key);
        push @members, { key => $key, text => json($session->{$key}, "{$key}") };
        $changed = 1;
    }
    $changed = push @members, { key => $ID, text => quoted($id) }
        if defined $id && !$known && %$session && !$options->{change_id};
    return @$was ? ['Delete', 1] : () unless @members;
    my $lasts = defined $options->{expires} ? $options->{expires} - time : undef;
    return unless $changed || $options->{change_id} || defined $lasts;
    my $isnew = !@$was || $options->{change_id};    # ends with the browser, like Plack's own cookie
    return (
        ['Save', '{' . join(',', map { quoted($_->{key}) . ":$_->{text}" } @members) . '}'],
        ($options->{change_id} ? ['Renew', 1] : ()),
        (defined $lasts ? ['Max-Age', $lasts < 1 ? 1 : int $lasts] : $isnew ? ['Max-Age', 0] : ()),
    );
}

sub allow { croak "session: $ID is reserved for the session; use another key" if $_[0] eq $ID }

# The members of a JSON object, each with its text, so that values that the app does not change are saved exactly as they came.
sub members {
    my ($text) = @_;
    my ($inner, @members) = $text =~ /^\{(.*)\}\z/s or die "it is not a JSON object\n";
    while ($inner =~ /\G($STRING):$VALUE(?:,(?=")|\z)/g) {
        push @members, bless { key => decoded("$1"), text => $2 }, 'Plack::Middleware::Cloakroom::Member';
        pos($inner) == length $inner and return \@members;
    }
    return $inner eq '' ? \@members : die "it is not written as cloakroom writes it\n";
}

# The member with its value and its JSON, made while Perl still knows what is a number: printing a number loses that.
sub opened {
    my ($member) = @_;
    return $member if defined $member->{json};
    $member->{value} = decoded($member->{text});
    $member->{tree}  = tree($member->{value});
    $member->{json}  = json($member->{value}, '', $member->{tree});
    return $member;
}

# Reads JSON; integers that Perl would round become Math::BigInt.
sub decoded {
    my ($text) = @_;
    return $1 if $text =~ /^"([ !#-\[\]-~]*)"\z/;
    my ($mark, %large) = $text =~ /\d{18}/ ? random() : ();
    $text =~ s/($STRING)|(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)/
        defined $1 || length $2 < 18 || $2 =~ m{[.eE]} || 0 + $2 eq $2 ? $& : do { $large{"$mark$2"} = $2; qq("$mark$2") }/ge
        if defined $mark;
    my $value = eval { $JSON->decode($text) };
    die "session: a value cannot be read: it is not JSON, or has half of a surrogate pair\n" if $@;    # $@ would quote the session
    return %large ? whole($value, \%large) : $value;
}

sub whole {
    my ($value, $large) = @_;
    return { map { $_ => whole($value->{$_}, $large) } keys %$value } if ref $value eq 'HASH';
    return [map { whole($_, $large) } @$value] if ref $value eq 'ARRAY';
    return defined $value && !ref $value && exists $large->{$value} ? Math::BigInt->new($large->{$value}) : $value;
}

# The same value with the JSON of each of its leaves.
sub tree {
    my ($value) = @_;
    return { map { $_ => tree($value->{$_}) } keys %$value } if ref $value eq 'HASH';
    return [map { tree($_) } @$value] if ref $value eq 'ARRAY';
    return json($value, '');
}

# JSON on one line of ASCII. Dies if JSON would lose something, and names it. Without $where it does not die, to check
# whether a value is unchanged: 1e400 came as JSON too. $tree is the value from before.
sub json {
    my ($value, $where, $tree, @parents) = @_;
    return 'null' unless defined $value;
    my $refuse = sub { $where eq '' ? '?' : croak "session: $where is $_[0], which JSON cannot hold; store text, numbers, arrays or hashes" };
    if (blessed $value) {
        return $value ? 'true' : 'false' if $value->isa('JSON::PP::Boolean') || $value->isa('Types::Serialiser::Boolean');
        return "$value" if $value->isa('Math::BigInt') && "$value" =~ /^-?\d[\d.eE+-]*$/;
        return $refuse->('a ' . ref $value);
    }
    return $refuse->('inside itself') if ref $value && grep { $_ == $value } @parents;
    push @parents, $value;
    if (ref $value eq 'HASH') {
        my $old = ref $tree eq 'HASH' ? $tree : {};
        return '{' . join(',', map { quoted($_) . ':' . json($value->{$_}, $where && "$where\{$_}", $old->{$_}, @parents) } sort keys %$value) . '}';
    }
    if (ref $value eq 'ARRAY') {
        my $old = ref $tree eq 'ARRAY' ? $tree : [];
        return '[' . join(',', map { json($value->[$_], $where && "$where\[$_]", $old->[$_], @parents) } 0 .. $#$value) . ']';
    }
    return $$value ? 'true' : 'false' if ref $value eq 'SCALAR' && ($$value // '') =~ /^[01]$/;
    return $refuse->('a reference to ' . lc ref $value) if ref $value;
    return $refuse->('a glob') if reftype(\$value) eq 'GLOB';
    $tree = '' if !defined $tree || ref $tree;
    my $kind = kind($value, $tree);
    return $value ? 'true' : 'false' if $kind eq 'boolean';
    return $tree if $tree =~ /^-?\d/ && $tree eq $value;    # a number that was printed is still a number
    return quoted($value) if $kind eq 'text';
    return $refuse->($value) if $value * 0 != 0;
    return "$value" == $value ? "$value" : sprintf '%.17g', $value;
}

sub kind {
    my ($value, $tree) = @_;
    no warnings;
    if (defined &builtin::created_as_number) {    # Perl 5.36 knows
        return builtin::is_bool($value) ? 'boolean' : builtin::created_as_number($value) ? 'number' : 'text';
    }
    my $flags = B::svref_2object(\$value)->FLAGS;
    return 'text' unless $flags & (B::SVp_IOK | B::SVp_NOK);
    return 'number' unless $flags & B::SVp_POK;
    # Used as both: keep its kind from before, or that of JSON::PP.
    return ($tree ne '' ? $tree =~ /^-?\d/ : $value eq 0 + $value) ? 'number' : 'text';
}

sub random {
    open my $source, '<:raw', '/dev/urandom' or die "/dev/urandom: $!\n";
    sysread $source, my $bytes, 16;
    return unpack 'H*', $bytes;
}

sub quoted {
    my ($text) = @_;
    return qq("$text") unless $text =~ /[^ !#-\[\]-~]/;
    return $JSON->encode("$text") =~ s/\x7f/\\u007f/gr;
}

package Plack::Middleware::Cloakroom::Values;
# The session's hash, which refuses values that JSON cannot hold.
require Tie::Hash;
our @ISA      = ('Tie::StdHash');
our @CARP_NOT = ('Plack::Middleware::Cloakroom');    # an error names the app's line

sub TIEHASH { return bless $_[1], $_[0] }
sub FETCH {
    my ($self, $key) = @_;
    my $value = $self->{$key};
    return $value unless ref $value eq 'Plack::Middleware::Cloakroom::Member';
    return $self->{$key} = Plack::Middleware::Cloakroom::opened($value)->{value};
}

sub DELETE { my ($self, $key) = @_; my $value = $self->FETCH($key); delete $self->{$key}; return $value }

sub STORE {
    my ($self, $key, $value) = @_;
    Plack::Middleware::Cloakroom::allow($key);
    Plack::Middleware::Cloakroom::json($value, "{$key}");
    return $self->{$key} = $value;
}

package Plack::Middleware::Cloakroom::Missing;
# Stands for a missing session, and refuses every use.

sub TIEHASH { my ($class, $prefix) = @_; return bless { prefix => $prefix }, $class }

for my $does (qw(FETCH STORE DELETE CLEAR EXISTS FIRSTKEY NEXTKEY SCALAR)) {
    no strict 'refs';
    *$does = sub { die "$_[0]{prefix} is missing: this request did not come through cloakroom, or its route has no session; let only cloakroom reach the app\n" };
}

package Plack::Middleware::Cloakroom::Id;

sub TIESCALAR { return bless $_[1], $_[0] }
sub FETCH { my ($self) = @_; return $$self //= Plack::Middleware::Cloakroom::random() }
sub STORE { ${ $_[0] } = $_[1]; return }

1;

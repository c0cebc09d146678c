<?php
// Refuses requests that cloakroom has not signed (RFC 9421): auto_prepend_file = ".../signed.php".

// The secrets of headers.signature by id; two of them while you replace one.
const CLOAKROOM_KEYS = ['2026' => '/run/secrets/app_signature_key'];
// Each header of [headers.claims] that the app reads.
const CLOAKROOM_FIELDS = ['x-session', 'x-remote-user'];

function cloakroom_signed(array $server): bool
{
    $field = fn(string $name) => $server['HTTP_' . strtoupper(strtr($name, '-', '_'))] ?? null;
    $form = '/^cloakroom=(\(("[^"]+"(?: "[^"]+")*)\);created=\d+;expires=(\d+);keyid="([^"]*)";alg="hmac-sha256")$/D';
    if (!preg_match($form, $field('signature-input') ?? '', $input)
        || !preg_match('/^cloakroom=:([A-Za-z0-9+\/]{43}=):$/D', $field('signature') ?? '', $signature)) {
        return false;
    }
    [, $parameters, $quoted, $expires, $id] = $input;
    $names = explode(' ', str_replace('"', '', $quoted));
    $told = array_filter(CLOAKROOM_FIELDS, fn($name) => $field($name) !== null);
    // A header that is present but not signed is forged.
    if (array_diff(['@method', '@request-target', 'x-session', ...$told], $names) || $expires <= time()) {
        return false;
    }
    $base = '';
    foreach ($names as $name) {
        $value = match ($name) {
            '@method' => $server['REQUEST_METHOD'],
            '@request-target' => $server['REQUEST_URI'],
            default => $field($name),
        };
        $base .= "\"$name\": $value\n";
    }
    $file = CLOAKROOM_KEYS[$id] ?? null;
    $secret = $file === null ? '' : rtrim(file_get_contents($file), "\r\n");
    $right = base64_encode(hash_hmac('sha256', "$base\"@signature-params\": $parameters", $secret, true));
    return $secret !== '' && hash_equals($right, $signature[1]);
}

if (!cloakroom_signed($_SERVER)) {
    http_response_code(403);
    exit("not from the sidecar\n");
}

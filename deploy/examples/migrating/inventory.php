<?php
// Lists the content of PHP's own sessions, before they move into a cookie: php inventory.php [DIRECTORY]
$directory = $argv[1] ?? (session_save_path() ?: sys_get_temp_dir());
$files = glob("$directory/sess_*") ?: [];
$keys = $problems = [];
$longest = 0;

/** The values that JSON cannot hold unchanged. */
function problems(mixed $value, string $path): array
{
    if (is_array($value)) {
        return array_merge(...array_values(array_map(fn ($key) => problems($value[$key], "$path.$key"), array_keys($value))));
    }
    return is_object($value) ? ["$path: an object of class " . get_class($value)]
        : (json_encode($value) === false ? ["$path: " . json_last_error_msg()] : []);
}

session_start(['use_cookies' => false, 'cache_limiter' => '', 'save_path' => sys_get_temp_dir()]);
foreach ($files as $file) {
    $_SESSION = [];
    session_decode(file_get_contents($file));
    foreach ($_SESSION as $key => $value) {
        $keys[$key] = ($keys[$key] ?? 0) + 1;
        foreach (problems($value, $key) as $problem) {
            $problems[$problem] = ($problems[$problem] ?? 0) + 1;
        }
    }
    $longest = max($longest, strlen(json_encode((object) $_SESSION, JSON_PARTIAL_OUTPUT_ON_ERROR)));
}
session_destroy();

// Name, header and signature of a token with a lifetime take about 240 bytes; base64 adds a third.
printf("%d sessions, the longest %d bytes of JSON: a cookie of about %d bytes\n", count($files), $longest, 240 + $longest * 4 / 3);
foreach ($keys as $key => $times) {
    echo "key $key: $times\n";
}
foreach ($problems as $problem => $times) {
    echo "not for JSON: $problem: $times\n";
}

<?php
// A front controller: PHP's own server gives it every path that is no file, also behind its own name. The
// page is chosen by PATH_INFO, or by REQUEST_URI without the script's name, decoded, as Symfony does it.
$sent = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$sent = is_string($sent) ? $sent : $_SERVER['REQUEST_URI'];
$sent = rawurldecode(preg_replace('#^/index\.php(?=/|$)#', '', $sent));
$path = $_SERVER['PATH_INFO'] ?? $sent;
$isAdmin = preg_match('#^/admin(/|$)#', $path) || preg_match('#^/admin(/|$)#', $sent);
$fields = [];
foreach ($_SERVER as $name => $value) {
    if (preg_match('/^(HTTP_|CONTENT_)/', $name)) {
        $fields[] = bin2hex($name) . '=' . bin2hex($value);
    }
}
$line = implode(' ', [
    bin2hex($_SERVER['REQUEST_METHOD']),
    bin2hex($path),
    $isAdmin ? 'admin' : 'page',
    bin2hex($_SERVER['HTTP_X_SESSION'] ?? ''),
    bin2hex(($_SERVER['HTTPS'] ?? '') === 'on' ? 'https' : 'http'),
    $_SERVER['REMOTE_PORT'],
    bin2hex(file_get_contents('php://input')),
    ...$fields,
]) . "\n";
file_put_contents(getenv('SEEN'), $line, FILE_APPEND);
header('Content-Type: text/plain');
header('Content-Length: ' . strlen($line));
echo $line;

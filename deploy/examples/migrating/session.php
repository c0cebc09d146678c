<?php
// Replaces session_start(): $_SESSION comes from X-Session, and is saved if it has changed.
$_SESSION = json_decode($_SERVER['HTTP_X_SESSION'], true, 512, JSON_THROW_ON_ERROR);
// session_start() sent this itself. Without it browsers keep pages with private data.
header('Cache-Control: no-store');

(function () {
    $received = $_SESSION;

    // Moves a user's old session into the new one, once. Remove this part
    // when the last of the old sessions has ended.
    $old = session_name();
    if ($received === [] && isset($_COOKIE[$old])) {
        session_start(['use_strict_mode' => true, 'cache_limiter' => '']);
        $taken = $_SESSION;
        session_destroy();
        $_SESSION = $taken;
        setcookie($old, '', ['expires' => 1, 'path' => '/']);
    }

    // Runs when PHP is about to send the headers, on redirects and errors too.
    header_register_callback(function () use ($received) {
        if ($_SESSION === $received) {
            return;
        }
        if ($_SESSION === []) {
            header('X-Session-Delete: 1');
        } else {
            header('X-Session-Save: ' . json_encode((object) $_SESSION, JSON_THROW_ON_ERROR));
        }
    });
})();

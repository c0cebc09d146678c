<?php
// In the place of session_start(): $_SESSION is what X-Session brings, and goes back when it has changed.
$_SESSION = json_decode($_SERVER['HTTP_X_SESSION'], true, 512, JSON_THROW_ON_ERROR);
// session_start() sent this by itself: without it browsers keep pages with private data.
header('Cache-Control: no-store');

(function () {
    $received = $_SESSION;

    // Whoever still has a session of the old kind takes it along, once. This part goes
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

<?php
// What PHP apps do to their sessions, one case each; test_php.py says what has to come of it.
$case = $_GET['case'];
if ($case === 'read_only') {
    session_start(['read_and_close' => true]);
    $_SESSION['n'] = 9;
    exit;
}
if ($case === 'own_cookies') {
    ini_set('session.use_cookies', 1);
    ini_set('session.use_only_cookies', 1);
}
if ($case === 'lazy') {
    // As many apps: no session for whoever has no cookie of it.
    echo isset($_COOKIE[session_name()]) ? 'cookie ' : 'none ';
    session_name($_GET['name'] ?? 'PHPSESSID');
    session_start();
    echo isset($_COOKIE[session_name()]) ? 'cookie ' : 'none ', $_COOKIE[session_name()] === session_id() ? 'same' : 'other';
    exit;
}
if ($case === 'remember_params') {
    session_set_cookie_params(3600);
}
if ($case === 'own_handler') {
    session_set_save_handler(new class extends SessionHandler {}, true);
}
if ($case === 'files') {
    ini_set('session.save_handler', 'files');
}
if ($case === 'serializer') {
    ini_set('session.serialize_handler', 'php');
}
session_start();

class AtTheEnd
{
    public function __destruct()
    {
        $_SESSION['end'] = 'destructor';
    }
}

function stream()
{
    while (ob_get_level() > 0) {
        ob_end_flush();
    }
    echo 'out';
    flush();
}

switch ($case) {
    case 'id':
        echo session_id();
        break;
    case 'regenerate':
        session_regenerate_id();
        echo session_id();
        break;
    case 'regenerate_twice':
        session_regenerate_id(true);
        session_regenerate_id(true);
        $_SESSION['user'] = 'Ann';
        break;
    case 'destroy_start':
        session_destroy();
        session_start();
        echo count($_SESSION);
        $_SESSION['user'] = 'Ben';
        break;
    case 'destroy_cookie_start':
        session_destroy();
        setcookie(session_name(), '', time() - 42000, '/');
        session_start();
        $_SESSION['flash'] = 'Bye';
        break;
    case 'headers_removed':
        $_SESSION['n'] = 16;
        session_write_close();
        header_remove();
        header('Cache-Control: public, max-age=60');
        break;
    case 'cookie_deleted':
        $_SESSION['n'] = 14;
        setcookie(session_name(), '', time() - 42000, '/');
        break;
    case 'cookie_deleted_late':
        $_SESSION['n'] = 15;
        session_write_close();
        setcookie(session_name(), '', 1);
        break;
    case 'cookie_deleted_elsewhere':
        setcookie(session_name(), '', 1, '/old');
        break;
    case 'regenerate_destroy':
        session_regenerate_id(true);
        session_destroy();
        break;
    case 'unset':
        session_unset();
        break;
    case 'early':
        $_SESSION['n'] = 1;
        session_write_close();
        $_SESSION['n'] = 2;
        stream();
        break;
    case 'twice':
        $_SESSION['n'] = 1;
        session_write_close();
        session_start();
        $_SESSION['n']++;
        break;
    case 'back_again':
        $n = $_SESSION['n'];
        $_SESSION['n'] = 'another';
        session_write_close();
        session_start();
        $_SESSION['n'] = $n;
        break;
    case 'early_bad':
        $_SESSION['early'] = new ArrayObject();
        session_write_close();
        break;
    case 'sent':
        stream();
        $_SESSION['n'] = 3;
        break;
    case 'sent_unchanged':
        stream();
        break;
    case 'sent_early':
        stream();
        $_SESSION['n'] = 3;
        session_write_close();
        break;
    case 'cleaned':
        $_SESSION['n'] = 4;
        while (ob_get_level() > 0) {
            ob_end_clean();
        }
        header('Location: /read', true, 303);
        break;
    case 'cleaned_bad':
        $_SESSION['cleaned'] = new ArrayObject();
        while (ob_get_level() > 0) {
            ob_end_clean();
        }
        break;
    case 'cleaned_meanwhile':
        $_SESSION['n'] = new ArrayObject();
        ob_clean();
        $_SESSION['n'] = 12;
        break;
    case 'no_session':
        unset($_SESSION);
        break;
    case 'null':
        $_SESSION = null;
        break;
    case 'events':
        $_SESSION['n'] = 13;
        for ($i = 0; $i < 3; $i++) {
            echo "data: $i\n\n";
            ob_flush();
            flush();
        }
        break;
    case 'abort':
        $_SESSION['n'] = 5;
        session_abort();
        break;
    case 'shutdown':
        register_shutdown_function(function () {
            $_SESSION['end'] = 'shutdown';
        });
        echo 'out';
        break;
    case 'destructor':
        $held = new AtTheEnd();
        echo 'out';
        break;
    case 'remember':
        $_SESSION['user'] = 'Ann';
        setcookie('theme', 'dark');
        setcookie(session_name(), session_id(), time() + 7200, '/');
        setcookie('lang', 'de');
        break;
    case 'remember_params':
        $_SESSION['user'] = 'Ann';
        break;
    case 'closure':
        $_SESSION['a']['closure'] = function () {
        };
        break;
    case 'resource':
        $_SESSION['a'][0]['file'] = fopen(__FILE__, 'r');
        break;
    case 'closed':
        $_SESSION['a'] = fopen(__FILE__, 'r');
        fclose($_SESSION['a']);
        break;
    case 'plain':
        $_SESSION['a'] = (object) ['b' => 1];
        break;
    case 'nan':
        $_SESSION['a'] = NAN;
        break;
    case 'bytes':
        $_SESSION['a'] = "\xff";
        break;
    case 'byte_key':
        $_SESSION["\xff"] = 1;
        break;
    case 'itself':
        $_SESSION['a'] = [];
        $_SESSION['a']['a'] = &$_SESSION['a'];
        break;
    case 'fatal':
        $_SESSION['n'] = 6;
        undefined_function();
        break;
    case 'exit':
        $_SESSION['n'] = 7;
        header('Location: /read');
        exit;
    case 'long':
        $_SESSION['n'] = 8;
        echo str_repeat('x', 3000000);
        break;
    case 'too_late':
        echo str_repeat('x', 3000000);
        $_SESSION['n'] = 10;
        break;
    case 'cart':
        $_SESSION['cart']['n']++;
        break;
    case 'empty_cart':
        $_SESSION['cart'] = [];
        break;
    case 'own_cookies':
        $_SESSION['n'] = 11;
        break;
    case 'reference':
        $_SESSION['list'] = [1, 2];
        foreach ($_SESSION['list'] as &$item) {
            $item++;
        }
        break;
    case 'references_kept':
        foreach ($_SESSION['list'] as &$item) {
            $item = $item + 0;
        }
        break;
    case 'deep':
        $_SESSION['deep'] = json_decode(str_repeat('[', 127) . str_repeat(']', 127));
        break;
    case 'cli':
        $_SESSION['n'] = 1;
        echo PHP_SAPI;
        break;
}

<?php
// The shop before: PHP's own sessions, in files on this machine.
session_start(['cookie_httponly' => true, 'cookie_samesite' => 'Lax']);
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);

function html($text): string
{
    return htmlspecialchars((string) $text, ENT_QUOTES | ENT_SUBSTITUTE);
}

if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    [$name, $article] = [$_POST['name'] ?? null, $_POST['article'] ?? null];
    if ($path === '/login' && is_string($name) && preg_match('/^[^\x00-\x1f\x7f-\x9f]{1,40}$/Du', $name)) {
        session_regenerate_id(true);
        $_SESSION['name'] = $name;
        if (isset($_POST['remember'])) {
            $options = ['expires' => time() + 2592000, 'path' => '/', 'httponly' => true, 'samesite' => 'Lax'];
            setcookie(session_name(), session_id(), $options);
        }
    } elseif ($path === '/count') {
        $_SESSION['count'] = ($_SESSION['count'] ?? 0) + 1;
    } elseif ($path === '/basket' && in_array($article, ['hat', 'coat'], true)) {
        $_SESSION['basket'][$article] = ($_SESSION['basket'][$article] ?? 0) + 1;
    } elseif ($path === '/empty') {
        unset($_SESSION['basket']);
    } elseif ($path === '/logout') {
        session_destroy();
        setcookie(session_name(), '', ['expires' => 1, 'path' => '/']);
    }
    header('Location: /', true, 303);
    exit;
}
[$count, $basket] = [$_SESSION['count'] ?? 0, $_SESSION['basket'] ?? []];
?>
<!doctype html>
<title>Hats and coats</title>
<h1>Hats and coats</h1>
<?php if ($path === '/session') { ?>
<pre id=session><?= html(json_encode($_SESSION)) ?></pre>
<p><a href=/>Back</a>
<?php } else { ?>
<?php if (isset($_SESSION['name'])) { ?>
<form method=post action=/logout>Hello, <b id=name><?= html($_SESSION['name']) ?></b>. <button>Log out</button></form>
<?php } else { ?>
<form method=post action=/login>Name: <input name=name required maxlength=40> <label><input type=checkbox name=remember> remember me</label> <button>Log in</button></form>
<?php } ?>
<form method=post action=/count><p>Count: <b id=count><?= html($count) ?></b> <button>Count</button></form>
<form method=post action=/basket><p>Hats: <b id=hat><?= html($basket['hat'] ?? 0) ?></b> <button name=article value=hat>Take a hat</button></form>
<form method=post action=/basket><p>Coats: <b id=coat><?= html($basket['coat'] ?? 0) ?></b> <button name=article value=coat>Take a coat</button></form>
<form method=post action=/empty><p><button>Put all back</button></form>
<p><a href=/session>What is in the session</a>
<?php } ?>

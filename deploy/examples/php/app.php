<?php
// A small shop that does not handle cookies: the session comes as JSON in X-Session.
$session = json_decode($_SERVER['HTTP_X_SESSION']);
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);

function html($text): string
{
    return htmlspecialchars((string) $text, ENT_QUOTES | ENT_SUBSTITUTE);
}

function page(int $status, string $main): never
{
    http_response_code($status);
    header('Content-Type: text/html; charset=utf-8');
    header('Cache-Control: no-store'); // with Clear-Site-Data below: the back button shows nothing private
    exit("<!doctype html>\n<title>Hats and coats</title>\n<h1>Hats and coats, in PHP</h1>\n$main");
}

if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    // SameSite does not send the session with forms of other sites, but their answers could replace it.
    $origin = $_SERVER['HTTP_ORIGIN'] ?? null;
    if ($origin !== null && preg_replace('~^https?://~', '', $origin) !== $_SERVER['HTTP_HOST']) {
        page(403, "<p>That form is not ours.\n");
    }
    [$name, $article] = [$_POST['name'] ?? null, $_POST['article'] ?? null];
    if ($path === '/login' && is_string($name) && preg_match('/^[^\x00-\x1f\x7f-\x9f]{1,40}$/Du', $name)) {
        $session->name = $name;
        header('X-Session-Save: ' . json_encode($session));
        header('X-Session-Max-Age: ' . (isset($_POST['remember']) ? 2592000 : 0));
    } elseif ($path === '/count') {
        header('X-Session-Merge: ' . json_encode(['count' => ($session->count ?? 0) + 1]));
    } elseif ($path === '/basket' && in_array($article, ['hat', 'coat'], true)) {
        header('X-Session-Merge: ' . json_encode(['basket' => [$article => ($session->basket->$article ?? 0) + 1]]));
    } elseif ($path === '/empty') {
        header('X-Session-Merge: {"basket":null}');
    } elseif ($path === '/logout') {
        header('X-Session-Delete: 1');
        header('Clear-Site-Data: "cache"');
    } else {
        page(403, "<p>That form is not ours.\n");
    }
    header('Location: /', true, 303);
} elseif ($path === '/session') {
    page(200, '<pre id=session>' . html($_SERVER['HTTP_X_SESSION']) . "</pre>\n<p><a href=/>Back</a>\n");
} elseif ($path === '/') {
    $who = isset($session->name)
        ? '<form method=post action=/logout>Hello, <b id=name>' . html($session->name) . '</b>. <button>Log out</button></form>'
        : '<form method=post action=/login>Name: <input name=name required maxlength=40> <label><input type=checkbox name=remember> remember me</label> <button>Log in</button></form>';
    [$count, $hats, $coats] = array_map(html(...), [$session->count ?? 0, $session->basket->hat ?? 0, $session->basket->coat ?? 0]);
    page(200, "$who
<form method=post action=/count><p>Count: <b id=count>$count</b> <button>Count</button></form>
<form method=post action=/basket><p>Hats: <b id=hat>$hats</b> <button name=article value=hat>Take a hat</button></form>
<form method=post action=/basket><p>Coats: <b id=coat>$coats</b> <button name=article value=coat>Take a coat</button></form>
<form method=post action=/empty><p><button>Put all back</button></form>
<p><a href=/session>What is in the session</a>\n");
} else {
    page(404, "<p>There is no such page.\n");
}

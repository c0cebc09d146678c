<?php
/*
 * PHP sessions with cloakroom: session_start() and $_SESSION work as before. The content comes in X-Session,
 * and is sent back in X-Session-Save, -Delete, -Renew and -Max-Age. One line in php.ini:
 *     auto_prepend_file = /usr/share/cloakroom/cloakroom_session.php
 */

final class CloakroomSessionError extends RuntimeException {}

final class CloakroomSession implements
    SessionHandlerInterface, SessionUpdateTimestampHandlerInterface, SessionIdInterface
{
    // session_id() must stay the same in all requests, because apps derive tokens from it.
    // It is kept under this key, which $_SESSION does not show.
    private const ID = '_session_id';

    private $header;
    private $missing;       // no X-Session: allowed if the app does not use the session
    private $came;          // the values as they came
    private $texts = [];    // and the JSON text of each
    private $kinds;         // the same, with {} and [] distinguished, and long integers as floats
    private $now;           // the session after the last write or destroy
    private $said = [];     // what the sidecar was told so far
    private $id;            // the id that came, or one created for this request
    private $lastId, $name, $lifetime, $failed = false, $open = false, $ended = false;

    public function __construct(string $header, ?string $json)
    {
        $this->header = $header;
        $json = ($this->missing = $json === null) ? '{}' : $json;
        $this->came = json_decode($json, true, 512, JSON_BIGINT_AS_STRING);
        // A key that begins with NUL cannot be a property of an object.
        $this->kinds = (array) json_decode(str_replace('"\u0000', '"?\u0000', $json));
        // The text of each value: values that the app does not change are saved exactly as they came.
        $string = '"(?:[^"\\\\]++|\\\\.)*+"';
        $value = "(?<v>$string|[^\"\\[\\]{},:\\s]++|[\\[{](?:(?&v)|[,:\\s])*+[\\]}])";
        preg_match_all("~($string)\\s*:\\s*($value)~", substr($json, 1, -1), $pairs, PREG_SET_ORDER);
        foreach ($pairs as $pair) {
            $this->texts[json_decode($pair[1])] = $pair[2];
        }
        if (!is_array($this->came) || $json[0] !== '{' || array_keys($this->texts) !== array_keys($this->came)) {
            throw new CloakroomSessionError("$header cannot be read. It must be a JSON object as cloakroom writes "
                . 'it (headers.encoding = "json"), of Unicode text: ' . json_last_error_msg() . '.');
        }
        $id = $this->came[self::ID] ?? null;
        $this->id = is_string($id) && preg_match('/^[-,a-zA-Z0-9]{16,128}$/D', $id) ? $id : bin2hex(random_bytes(16));
        unset($this->came[self::ID]);
        $this->now = $this->came;
    }

    public function open($path, $name): bool
    {
        $this->missing && $this->refuse();
        if (($this->name = $this->name ?? $name) !== $name) {
            throw new CloakroomSessionError("The app has two sessions, $this->name and $name; cloakroom has only one.");
        }
        $this->came !== [] && $_COOKIE[$name] = $this->id;
        return $this->open = true;
    }

    public function create_sid(): string
    {
        // The first call is for session_start(), others are for session_regenerate_id().
        return $this->lastId === null ? $this->id : bin2hex(random_bytes(16));
    }

    public function validateId($id): bool { return $id === ($this->lastId ?? $this->id); }
    public function close(): bool { return !($this->open = false); }
    public function gc($lifetime): int { return 0; }
    public function updateTimestamp($id, $data): bool { return $this->write($id, $data); }

    public function read($id): string
    {
        if (ini_get('session.serialize_handler') !== 'php_serialize') {
            throw new CloakroomSessionError('session.serialize_handler must be php_serialize; the app changed it.');
        }
        $this->lastId = $id;
        return $this->now === [] ? '' : serialize($this->now);
    }

    // session_regenerate_id(true) calls destroy too; a write follows and cancels the delete.
    public function destroy($id): bool { return $this->save($this->lastId = '', []); }
    public function write($id, $data): bool { return $this->save($id, $this->ended ? [] : $_SESSION ?? $this->now); }

    private function save(string $id, array $session): bool
    {
        $renewed = $this->came !== [] && $id !== $this->id;
        $changed = $renewed || count($session) !== count($this->came);
        $pairs = [];
        foreach ($session as $key => $value) {
            $same = array_key_exists($key, $this->came) && $value === $this->came[$key];
            $changed = $changed || !$same;
            $pairs[] = $this->json((string) $key, null, 'a key of $_SESSION') . ':'
                . ($same ? $this->texts[$key] : $this->json($value, $this->kinds[$key] ?? null, "\$_SESSION['$key']"));
        }
        $answer = $session === [] && $this->came !== [] ? ['Delete' => '1'] : [];
        if ($session !== [] && $changed) {
            $pairs[] = '"' . self::ID . '":' . json_encode($id);
            // Like PHP's cookie: a new session ends with the browser, unless a lifetime is set.
            $lifetime = $this->lifetime ?? session_get_cookie_params()['lifetime'];
            $isSet = $lifetime > 0 || $renewed || $this->came === [];
            $answer = ['Save' => '{' . implode(',', $pairs) . '}'] + ($renewed ? ['Renew' => '1'] : [])
                + ($isSet ? ['Max-Age' => (string) $lifetime] : []);
        }
        if ($answer != $this->said && headers_sent($file, $line)) {
            throw new CloakroomSessionError("The session cannot be saved: output has started at $file:$line. "
                . 'Call session_write_close() earlier, or do not flush the output.');
        }
        $this->now = $session;
        return $this->say($answer);
    }

    /** One value as JSON. An array keeps the kind that it came with, because PHP cannot distinguish {} and []. */
    private function json($value, $kind, string $where, int $depth = 2): string
    {
        if (is_string($value) && is_float($kind) && preg_match('/^-?[1-9][0-9]{18,}$/D', $value)
            && (float) $value === $kind) {
            return $value;  // an integer too long for PHP, which the app sees as a string of digits
        }
        if (!is_array($value)) {
            if ($value !== null && !is_scalar($value)) {
                $what = is_object($value) ? 'an object of class ' . get_class($value) : 'a resource';
                throw new CloakroomSessionError("$where cannot be saved: it is $what. Keep an array, a string or "
                    . 'a number in its place.');
            }
            $text = json_encode($value, JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION);
            if ($text === false) {
                throw new CloakroomSessionError("$where cannot be saved: " . json_last_error_msg() . '.');
            }
            return str_replace("\x7f", '\u007f', $text);    // which no header may contain
        }
        if ($depth > 128) {
            throw new CloakroomSessionError("$where cannot be saved: it is nested too deeply, or contains itself.");
        }
        $isList = !is_object($kind) && array_keys($value) === array_keys(array_keys($value));
        $kinds = (array) $kind;
        $parts = [];
        foreach ($value as $key => $item) {
            $text = $this->json($item, $kinds[preg_replace('/^\0/', "?\0", $key)] ?? null, "{$where}['$key']", $depth + 1);
            $parts[] = $isList ? $text : $this->json((string) $key, null, "a key of $where") . ":$text";
        }
        return $isList ? '[' . implode(',', $parts) . ']' : '{' . implode(',', $parts) . '}';
    }

    /** Tells the sidecar this, instead of what it was told before. */
    private function say(array $answer): bool
    {
        foreach (headers_sent() ? [] : ['Save', 'Delete', 'Renew', 'Max-Age'] as $name) {
            header_remove("$this->header-$name");
            isset($answer[$name]) && header("$this->header-$name: $answer[$name]");
        }
        // A cache before the sidecar does not know these headers.
        $cache = preg_grep('/^Cache-Control:/i', headers_list());
        $cache = preg_replace('/Cache-Control: *|,? *\b(public|private)\b(?!=)/i', '', implode(', ', $cache));
        $answer && !headers_sent() && header('Cache-Control: ' . ltrim("$cache, private", ', '));
        $this->said = $answer;
        return true;
    }

    /** Saves. Called with the answer before it and its headers are sent, at the latest at the end of the script. */
    public function beforeOutput($output = '', int $phase = 0)
    {
        if ($this->failed || $phase & PHP_OUTPUT_HANDLER_CLEAN && $_SERVER['REQUEST_METHOD'] !== 'HEAD') {
            return '';  // the app discards its output; the answer to HEAD ends like this too
        }
        try {
            $this->takeCookie();
            if (session_id() !== '' && $this->name === null) {
                throw new CloakroomSessionError('The app uses its own session handler. Turn that '
                    . 'off: session_set_save_handler(), session.save_handler.');
            }
            $this->open ? $this->write(session_id(), '') : $this->say($this->said);
        } catch (Throwable $error) {
            $this->failed = true;
            session_abort();
            return self::fail($error);
        }
        return $output;
    }

    /** Removes PHP's own cookie, which the app may have set by hand, and reads "remember me" and log-outs from it. */
    private function takeCookie()
    {
        $cookies = preg_grep('/^Set-Cookie:/i', headers_list());
        $own = preg_grep('/^Set-Cookie: *' . preg_quote($this->name ?? session_name(), '/') . '=/i', $cookies);
        if ($own && !headers_sent()) {
            $path = preg_quote(session_get_cookie_params()['path'], '~');
            header_remove('Set-Cookie');
            array_map(function ($cookie) { header($cookie, false); }, array_diff($cookies, $own));
            if (preg_match('/; *Max-Age=([1-9][0-9]*)/i', end($own), $found)) {
                $this->lifetime = (int) $found[1];
                isset($this->said['Save']) && $this->say(['Max-Age' => $found[1]] + $this->said);
            } elseif (preg_match("~; *Max-Age=0(?!.*; *path=(?!$path(;|$)))~i", end($own))) {
                $this->ended = $this->say($this->came === [] ? [] : ['Delete' => '1']);
            }
        }
    }

    /** Replaces the answer by an error. The reason is in PHP's error log. */
    private static function fail(Throwable $error): string
    {
        error_log('cloakroom: ' . $error->getMessage());
        headers_sent() || header_remove();
        headers_sent() || header('Content-Type: text/plain', true, 500);
        return "The session could not be read or saved. PHP's error log says why.\n";
    }

    private function refuse()
    {
        throw new CloakroomSessionError("$this->header is missing: this request did not come through cloakroom, or "
            . 'its path has no session (session = "off", the health check). Let only cloakroom reach the app.');
    }

    public static function install()
    {
        $setting = function (string $name) {
            return get_cfg_var("cloakroom.$name") ?: getenv('CLOAKROOM_' . strtoupper($name)) ?: '';
        };
        $header = $setting('header') ?: 'X-Session';
        $path = (string) strtok($_SERVER['REQUEST_URI'] ?? '/', '?');
        $isBelow = function (string $prefix) use ($path) { return $prefix !== '' && strpos($path, $prefix) === 0; };
        try {
            $session = new self($header, $_SERVER['HTTP_' . strtoupper(strtr($header, '-', '_'))] ?? null);
            if ($session->missing && !array_filter(explode(' ', $setting('sessionless')), $isBelow)) {
                $session->refuse();
            }
            $autoStart = session_status() === PHP_SESSION_ACTIVE && session_abort();
            session_set_save_handler($session, false);
            // takeCookie() removes PHP's cookie; without the cookie PHP would forget its lifetime.
            foreach (['use_cookies' => 1, 'use_only_cookies' => 1, 'use_trans_sid' => 0, 'use_strict_mode' => 1,
                'serialize_handler' => 'php_serialize', 'gc_probability' => 0] as $name => $value) {
                ini_set("session.$name", $value);
            }
            // Apps look for PHP's cookie before they start a session, or to check whether the browser accepts cookies.
            $session->came !== [] && $_COOKIE[session_name()] = $session->id;
            // The answer is buffered, up to 1 MB, so that the session can be saved at the end.
            ob_start([$session, 'beforeOutput'], 1 << 20);
            header_register_callback([$session, 'beforeOutput']);
            $autoStart && session_start();
        } catch (Throwable $error) {
            exit(self::fail($error));
        }
    }
}

if (!in_array(PHP_SAPI, ['cli', 'phpdbg', 'embed'], true)) { // if there is a request
    CloakroomSession::install();
}

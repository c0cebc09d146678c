<?php
// An app that knows PHP's sessions and nothing of cloakroom; rules.py says what it answers to.
session_start();
$path = strtok($_SERVER['REQUEST_URI'], '?');
$key = $_GET['key'] ?? '';
switch ($path) {
    case '/show':
        header('Content-Type: application/json');
        echo json_encode((object) $_SESSION, JSON_THROW_ON_ERROR);
        break;
    case '/read':
        echo count($_SESSION);
        break;
    case '/set':
        echo 'before';
        $_SESSION[$key] = json_decode(file_get_contents('php://input'), true, 512, JSON_THROW_ON_ERROR);
        break;
    case '/public':
        header('Cache-Control: public, max-age=60');
        $_SESSION[$key] = 1;
        break;
    case '/drop':
        unset($_SESSION[$key]);
        break;
    case '/login':
        session_regenerate_id(true);
        $_SESSION['user'] = $_GET['name'];
        break;
    case '/logout':
        $_SESSION = [];
        setcookie(session_name(), '', time() - 3600, '/');
        session_destroy();
        break;
    case '/bad':
        $_SESSION[$key] = new ArrayObject();
        break;
    default:
        http_response_code(404);
}

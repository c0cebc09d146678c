<?php
// For session.auto_start = 1: there is no session_start() here.
$_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1;
echo $_SESSION['n'];

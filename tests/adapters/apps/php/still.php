<?php
// A page without a session; or with one, where cloakroom brings none.
if (isset($_GET['start'])) {
    session_start();
}
echo 'still';

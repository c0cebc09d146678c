<?php
// The first file is what is under test, taken in by auto_prepend_file.
echo $_SERVER['HTTP_X_SESSION'];

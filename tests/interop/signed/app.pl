#!/usr/bin/perl
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Signed;

my $is_signed = Signed::request(\%ENV);
print 'Status: ', $is_signed ? 200 : 403, "\r\nContent-Type: text/plain\r\n\r\n";
print $is_signed ? $ENV{HTTP_X_SESSION} : "not from the sidecar\n";

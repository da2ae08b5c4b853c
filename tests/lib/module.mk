# SPDX-License-Identifier: MIT
CHECKS += tests/lib/check-testpoints.sh tests/lib/check-includes.sh tests/lib/check-shell.sh tests/lib/check-config.sh tests/lib/check-install.sh

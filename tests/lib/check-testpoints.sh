#!/bin/bash
# SPDX-License-Identifier: MIT
# check-testpoints.sh - every testpoint belongs to a group whose testpoints some test kills at, each of them
exec "$(dirname "$0")/testpoints.sh" --check

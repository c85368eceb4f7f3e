#!/usr/bin/env bash
# Puts a file onto a pull request as the one comment of ours, which the next run replaces.
#
#   comment.sh FILE NUMBER     GH_TOKEN and GH_REPO say who and where, as gh reads them
set -euo pipefail
gh pr comment "$2" --body-file "$1" --edit-last --create-if-none

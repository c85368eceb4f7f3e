#!/usr/bin/env bash
# Generated files must be what their sources say. Each check names the command that renews its files.
source "$(dirname "$0")/lib.sh"
status=0
go run ./internal/valuesdoc -check || status=1
go run ./internal/schemas -check || status=1
exit $status

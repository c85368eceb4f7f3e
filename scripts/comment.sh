#!/usr/bin/env bash
# Puts a file onto a pull request as the one comment of ours, which the next run replaces. It is known by a mark that
# nobody sees, and by its author: others write comments by the same token, and anybody can write the mark.
#
#   comment.sh FILE NUMBER     GH_TOKEN and GH_REPO say who and where, as gh reads them
set -euo pipefail
mark='<!-- basico diff -->'
body=$(mktemp)
trap 'rm -f "$body"' EXIT
{ printf '%s\n' "$mark"; cat "$1"; } >"$body"

# shellcheck disable=SC2016 # the variables are GraphQL's
comments='query($owner: String!, $repo: String!, $number: Int!, $endCursor: String) { repository(owner: $owner, name: $repo) { pullRequest(number: $number) { comments(first: 100, after: $endCursor) { nodes { id body viewerDidAuthor } pageInfo { hasNextPage endCursor } } } } }'
# shellcheck disable=SC2016
edit='mutation($id: ID!, $body: String!) { updateIssueComment(input: {id: $id, body: $body}) { clientMutationId } }'
ids=$(gh api graphql --paginate -F owner='{owner}' -F repo='{repo}' -F number="$2" -f query="$comments" \
  --jq ".data.repository.pullRequest.comments.nodes[] | select(.viewerDidAuthor and (.body | startswith(\"$mark\"))) | .id")
if [ -n "$ids" ]; then
  gh api graphql --silent -f id="${ids%%$'\n'*}" -F body="@$body" -f query="$edit"
else
  gh pr comment "$2" --body-file "$body"
fi

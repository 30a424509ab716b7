#!/usr/bin/env bash
# Holds the documents against the checkout: links lead somewhere, and the
# constants that docs/limits.md names exist.
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0
complain() {
  echo "docs: $*"
  failed=1
}

mapfile -t documents < <(git ls-files --cached --others --exclude-standard -- '*.md' ':!THIRD_PARTY_NOTICES.md')
for document in "${documents[@]}"; do
  while read -r target; do
    [[ -e $(dirname "$document")/$target ]] || complain "$document: no such file: $target"
  done < <(grep -oE '\]\([^)#]+' "$document" | sed 's/^](//' | grep -vE '^[a-z]+:' || true)
done

# In a row a name without a package belongs to the package before it.
# shellcheck disable=SC2016 # the backquotes are those of Markdown
names='`[a-z]+\.[A-Za-z.]+`|`(max|min|Max|Min)[A-Za-z]+`'
package=
while read -r constant; do
  if [[ $constant == *.* ]]; then
    package=${constant%%.*}
  fi
  folder=$(find internal -type d -name "$package" | sort | head -n 1)
  [[ $package != dormer ]] || folder=.
  grep -qsw -- "${constant##*.}" "${folder:-$package}"/*.go || complain "docs/limits.md: no constant $package.${constant##*.}"
done < <(awk -F'|' 'NF > 5 { print $(NF - 1) }' docs/limits.md | grep -oE "$names" | tr -d '\140')
exit "$failed"

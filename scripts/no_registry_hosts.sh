#!/bin/sh
# Fails if a file of the repository names the host of a package registry.
#
# Where packages come from is the affair of whoever installs them (a mirror, a cache, an air-gapped share), so files
# here name packages and versions only. The names below are written with a break, so that this file passes its own test.
set -u
cd "$(dirname "$0")/.." || exit 2

dot='[.]'
hosts="py""pi${dot}org|py""pi${dot}python${dot}org|python""hosted${dot}org"
hosts="$hosts|npm""js${dot}(org|com)|registry${dot}yarn""pkg${dot}com|npm""mirror${dot}com|jsr${dot}""io"
hosts="$hosts|(deb|security|archive|snapshot|ftp)${dot}deb""ian${dot}org|(archive|security|ports)${dot}ubun""tu${dot}com"
hosts="$hosts|crates${dot}""io|ruby""gems${dot}org|nu""get${dot}org|proxy${dot}go""lang${dot}org|sum${dot}go""lang${dot}org"
hosts="$hosts|repo1?${dot}maven(${dot}apache)?${dot}""org|plugins${dot}grad""le${dot}org|pack""agist${dot}org"
hosts="$hosts|ana""conda${dot}(org|com)|cran${dot}r-""project${dot}org|dl-cdn${dot}alpine""linux${dot}org"

if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
  git --no-pager grep -nIiE --untracked -e "$hosts" -- . >&2
else
  grep -rnIiE --exclude-dir=.git --exclude-dir=.venv --exclude-dir=.forecourt --exclude-dir='.*_cache' \
    --exclude-dir=__pycache__ --exclude-dir=.hypothesis --exclude-dir=dist -e "$hosts" . >&2
fi
case $? in
  0) echo "The lines above name a package registry's host: name the package and its version only." >&2; exit 1 ;;
  1) echo "No file names a package registry's host." ;;
  *) exit 2 ;;
esac

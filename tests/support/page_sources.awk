# SPDX-License-Identifier: Apache-2.0
# Writes the files that how-to pages show: the block after a line that names `kind/name.cc` or `experiments/.../name.yaml`,
# below `folder`. A file that stays as it is keeps its time, so that it is not built again.
function finish(   command) {
  command = "cmp -s '" path ".new' '" path "' && rm '" path ".new' || mv '" path ".new' '" path "'"
  close(path ".new")
  system(command)
  path = ""
}
!inside && match($0, /`[^`]*\.(cc|yaml)`/) {
  name = substr($0, RSTART + 1, RLENGTH - 2)
  sub(/^\$HOME\/my_triptych\//, "", name)
  if (name ~ /^framework\//) name = ""
}
/^```/ {
  if (inside && path != "") finish()
  inside = !inside
  if (inside && ($0 == "```cpp" || $0 == "```yaml") && name ~ /^[a-z_]+\/[a-z_\/0-9]+\.(cc|yaml)$/) {
    path = folder "/" name
    directory = path
    sub(/\/[^\/]*$/, "", directory)
    system("mkdir -p '" directory "'")
    printf "" > (path ".new")
    name = ""
  }
  next
}
inside && path != "" { print > (path ".new") }

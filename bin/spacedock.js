#!/usr/bin/env node
// Written so that any Node can read it, also one that is too old for the program itself.

var required = '22.13'
var found = process.versions.node

if (isOld(found.split('.'), required.split('.'))) {
  process.stderr.write(
    'spacedock: Node ' + required + ' or later is needed, and this is Node ' + found + '.\n',
  )
  process.exitCode = 1
} else {
  void import('./start.js')
}

function isOld(version, least) {
  var major = Number(version[0]) - Number(least[0])
  return major < 0 || (major === 0 && Number(version[1]) < Number(least[1]))
}

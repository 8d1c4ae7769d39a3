import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runProcess } from './lab/process.ts'

/**
 * Environment in which no file can be locked, as on a network file system without a lock service: fcntl says ENOLCK (fcntl(2)). A
 * sentence where it cannot be had. `folder` keeps what it needs.
 */
export async function withoutLocks(folder: string): Promise<{ env: Record<string, string> } | string> {
  if (process.platform !== 'linux') return 'a library is preloaded, as Linux does it'
  const library = join(folder, 'no-locks.so')
  await writeFile(join(folder, 'no-locks.c'), source)
  const compiler = ['cc', '-shared', '-fPIC', '-o', library, join(folder, 'no-locks.c'), '-ldl']
  const { code } = await runProcess(compiler).catch(() => ({ code: null }))
  return code === 0 ? { env: { LD_PRELOAD: library } } : 'there is no C compiler'
}

const source = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
int fcntl64(int file, int command, ...) {
  static int (*original)(int, int, ...);
  if (!original) original = (int (*)(int, int, ...))dlsym(RTLD_NEXT, "fcntl64");
  va_list arguments;
  va_start(arguments, command);
  void *argument = va_arg(arguments, void *);
  va_end(arguments);
  if (command == F_SETLK || command == F_SETLKW) { errno = ENOLCK; return -1; }
  return original(file, command, argument);
}
`

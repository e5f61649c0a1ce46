// SPDX-License-Identifier: Apache-2.0
#include "framework/core/standard_streams.h"

#include "framework/core/error.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace triptych {
namespace {

bool reader_is_gone() {
  pollfd output{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
  return ::poll(&output, 1, 0) == 1 && (output.revents & (POLLERR | POLLHUP)) != 0;
}

}  // namespace

void open_standard_streams() {
  // open() gives the lowest free number: the loop ends with the first that is no standard stream.
  int descriptor = STDIN_FILENO;
  while (descriptor >= 0 && descriptor <= STDERR_FILENO) descriptor = ::open("/dev/null", O_RDWR);
  if (descriptor > STDERR_FILENO) ::close(descriptor);
}

void flush_standard_output() {
  errno = 0;
  const bool flushed = std::fflush(stdout) == 0;
  const int reason = errno;
  if ((flushed && std::ferror(stdout) == 0) || reader_is_gone()) return;
  throw io_error(fmt::format("standard output: cannot be written{}",
                             reason != 0 ? fmt::format(": {}", std::strerror(reason)) : ""),
                 "check the free space where it is redirected to");
}

}  // namespace triptych

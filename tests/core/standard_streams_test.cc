// SPDX-License-Identifier: Apache-2.0
#include "framework/core/standard_streams.h"

#include "framework/core/error.h"

#include <csignal>
#include <cstdio>
#include <functional>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace triptych {
namespace {

/// What `work` returns in a process of its own, whose streams it may spoil.
int in_a_process(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int print_to(int descriptor) {
  ::dup2(descriptor, STDOUT_FILENO);
  std::printf("a result\n");
  try {
    flush_standard_output();
  } catch (const Error& error) {
    return error.exit_code();
  }
  return 0;
}

TEST(StandardStreams, KeepTheNumbersOfClosedStreamsFromFiles) {
  EXPECT_GT(in_a_process([] {
              for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::close(stream);
              open_standard_streams();
              return ::open("/dev/zero", O_RDONLY);
            }),
            STDERR_FILENO);
}

TEST(StandardStreams, TellWhenResultsAreLost) {
  EXPECT_EQ(in_a_process([] { return print_to(::open("/dev/full", O_WRONLY)); }), 1);
  EXPECT_EQ(in_a_process([] { return print_to(::open("/dev/null", O_WRONLY)); }), 0);
}

TEST(StandardStreams, TakeAReaderThatHasGoneForNoFault) {
  EXPECT_EQ(in_a_process([] {
              ::signal(SIGPIPE, SIG_IGN);
              int ends[2];
              if (::pipe(ends) != 0) return 2;
              ::close(ends[0]);
              return print_to(ends[1]);
            }),
            0);
}

}  // namespace
}  // namespace triptych

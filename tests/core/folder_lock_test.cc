// SPDX-License-Identifier: Apache-2.0
#include "framework/core/folder_lock.h"

#include "framework/core/error.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace triptych {
namespace {
namespace fs = std::filesystem;

fs::path fresh_folder() {
  const fs::path folder = fs::path(::testing::TempDir()) / "triptych_folder_lock_test";
  fs::remove_all(folder);
  return folder;
}

TEST(FolderLock, HoldsOneAtATime) {
  const fs::path folder = fresh_folder();
  {
    const FolderLock lock(folder);
    EXPECT_THROW(FolderLock{folder}, Error);
  }
  EXPECT_NO_THROW(FolderLock{folder});
}

TEST(FolderLock, EndsWithItsProcess) {
  const fs::path folder = fresh_folder();
  const pid_t child = ::fork();
  if (child == 0) {
    const FolderLock lock(folder);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_NO_THROW(FolderLock{folder});
}

TEST(FolderLock, NamesAFolderThatCannotBeMade) {
  try {
    const FolderLock lock("/proc/none/run");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("/proc/none/run"), std::string::npos);
  }
}

}  // namespace
}  // namespace triptych

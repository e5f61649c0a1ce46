// SPDX-License-Identifier: Apache-2.0
#include "framework/core/file.h"

#include "framework/core/error.h"

#include <csignal>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

namespace triptych {
namespace {
namespace fs = std::filesystem;

class FileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) / "triptych_file_test";
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), {}));
  }
  fs::path folder_;
};

TEST_F(FileTest, WritesAWholeFileAndCreatesItsFolder) {
  write_file_atomically(folder_ / "a" / "b.txt", "hello");
  EXPECT_EQ(read_file(folder_ / "a" / "b.txt"), "hello");
}

TEST_F(FileTest, LeavesTheOldFileWhenNothingIsCommitted) {
  write_file_atomically(folder_ / "x", "old");
  {
    AtomicFile file(folder_ / "x");
    std::ofstream(file.temporary()) << "half";
  }
  EXPECT_EQ(read_file(folder_ / "x"), "old");
  EXPECT_EQ(files(), 1U);
}

TEST_F(FileTest, SaysWhenTheDiskIsFullAndLeavesNothingBehind) {
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = before;
  small.rlim_cur = 1000;  // a write beyond it fails as on a full disk
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  std::string message;
  try {
    write_file_atomically(folder_ / "big", std::string(100000, 'x'));
  } catch (const Error& error) {
    message = error.what();
  }
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_NE(message.find("big: cannot be written"), std::string::npos) << message;
  EXPECT_EQ(files(), 0U);
}

TEST_F(FileTest, ReplacesAFolderAsAWhole) {
  const auto write = [](const char* text) {
    return [text](const fs::path& to) { std::ofstream(to / "state") << text; };
  };
  write_folder_atomically(folder_ / "last", write("one"));
  write_folder_atomically(folder_ / "last", write("two"));
  EXPECT_EQ(read_file(folder_ / "last" / "state"), "two");
  EXPECT_EQ(files(), 1U);
  EXPECT_THROW(
      write_folder_atomically(folder_ / "last", [](const fs::path&) { throw io_error("disk"); }),
      Error);
  EXPECT_EQ(read_file(folder_ / "last" / "state"), "two");
  EXPECT_EQ(files(), 1U);
}

TEST_F(FileTest, ReplacesAFolderBesideWhatAKilledProcessOfTheSameNumberLeft) {
  const auto write = [](const fs::path& to) { std::ofstream(to / "state") << "new"; };
  write_folder_atomically(folder_ / "last", write);
  const std::string name = fmt::format(".{}.last", ::getpid());
  for (const std::string& left : {name, name + ".previous"})
    write_file_atomically(folder_ / left / "state", "old");
  write_folder_atomically(folder_ / "last", write);
  EXPECT_EQ(read_file(folder_ / "last" / "state"), "new");
  EXPECT_EQ(files(), 1U);
}

TEST_F(FileTest, NamesWhatCannotBeRead) {
  EXPECT_THROW(read_file(folder_ / "missing"), Error);
  EXPECT_THROW(read_file(folder_), Error);
}

TEST(Sha256, MatchesTheStandardsExamples) {
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(FileExtension, TreatsCompoundExtensionsAsOne) {
  EXPECT_EQ(file_extension("a/b.NII.GZ"), ".nii.gz");
  EXPECT_EQ(file_extension("x.seg.nrrd"), ".seg.nrrd");
  EXPECT_EQ(file_extension("x.tif"), ".tif");
  EXPECT_EQ(file_extension("folder"), "");
  EXPECT_EQ(file_extension(".hidden"), "");
}

}  // namespace
}  // namespace triptych

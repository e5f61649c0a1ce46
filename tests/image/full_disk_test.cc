// SPDX-License-Identifier: Apache-2.0
// A disk that fills up while a file is written: an error, and neither a half file nor a lost
// earlier one.
#include "framework/image/io.h"

#include "tests/image/sample_volumes.h"

#include <csignal>

#include <sys/resource.h>

namespace triptych {
namespace {

/// Files of this process cannot grow beyond `bytes`: write() then fails as it does on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    previous_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &previous_);
    rlimit limit = previous_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &previous_);
    std::signal(SIGXFSZ, previous_handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit previous_{};
  void (*previous_handler_)(int) = nullptr;
};

class FullDisk : public ::testing::TestWithParam<const char*> {};

TEST_P(FullDisk, IsAnErrorThatLeavesTheEarlierFileWhole) {
  const TemporaryFolder folder;
  const std::string file = folder / GetParam();
  const bool picture = file.ends_with(".png") || file.ends_with(".jpg");
  const Geometry small = picture ? Geometry{{1, 9, 9},
                                            Eigen::Vector3d::Ones(),
                                            Eigen::Vector3d::Zero(),
                                            Eigen::Matrix3d::Identity(),
                                            false}
                                 : oblique_geometry({3, 4, 5});
  const Volume first = sample_volume(at::kByte, 1, small);
  write_volume(file, first);
  const auto names = folder.names();
  const Volume before = read_volume(file);  // not `first`: JPEG changes values
  Volume second = first;
  second.geometry.shape = picture ? Index3{1, 300, 300} : Index3{40, 50, 60};
  second.data =
      at::randint(0,
                  255,
                  {1, second.geometry.shape[0], second.geometry.shape[1], second.geometry.shape[2]},
                  at::kByte);
  std::string message;
  {
    const FileSizeLimit limit(file.ends_with("/") ? 2000 : 20000);
    message = message_of([&] { write_volume(file, second); });
  }
  EXPECT_THAT(message, ::testing::HasSubstr("io: "));
  EXPECT_THAT(message, ::testing::HasSubstr("cannot be written"));
  EXPECT_THAT(folder.names(), ::testing::UnorderedElementsAreArray(names));
  expect_same_data(read_volume(file).data, before.data);
}

INSTANTIATE_TEST_SUITE_P(Formats,
                         FullDisk,
                         ::testing::Values("a.nii",
                                           "a.nii.gz",
                                           "a.mha",
                                           "a.mhd",
                                           "a.nrrd",
                                           "a.nhdr",
                                           "a.h5",
                                           "a.tif",
                                           "a.png",
                                           "a.jpg",
                                           "stack/"),
                         [](const auto& parameters) {
                           std::string name = parameters.param;
                           std::replace_if(
                               name.begin(),
                               name.end(),
                               [](unsigned char c) { return !std::isalnum(c); },
                               '_');
                           return name;
                         });

}  // namespace
}  // namespace triptych

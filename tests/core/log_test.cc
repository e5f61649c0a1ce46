// SPDX-License-Identifier: Apache-2.0
#include "framework/core/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

TEST(Log, SaysOnceThatItsFileIsNotComplete) {
  log::set_file("/dev/full");
  ::testing::internal::CaptureStderr();
  TRIPTYCH_LOG(info, "first");
  TRIPTYCH_LOG(info, "second");
  const std::string shown = ::testing::internal::GetCapturedStderr();
  const std::string warning = "the log is not complete: ";
  EXPECT_THAT(shown, ::testing::HasSubstr(warning));
  EXPECT_EQ(shown.find(warning), shown.rfind(warning)) << shown;
  EXPECT_THAT(shown, ::testing::Not(::testing::HasSubstr("LOG ERROR")));
}

}  // namespace
}  // namespace triptych

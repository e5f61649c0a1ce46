// SPDX-License-Identifier: Apache-2.0
#include "framework/core/place.h"

#include "framework/core/error.h"

#include <filesystem>
#include <map>
#include <new>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {
using ::testing::HasSubstr;

template <class Work>
Error caught(Work&& work) {
  try {
    at_place("head of task 'bone'", work);
  } catch (const Error& error) {
    return error;
  }
  return Error("none", "nothing was thrown");
}

TEST(Place, HandsOnTheResult) {
  const int value = 3;
  EXPECT_EQ(&at_place("here", [&]() -> const int& { return value; }), &value);
}

TEST(Place, NamesTheComponentOfAForeignException) {
  const Error standard = caught([] { std::map<int, int>{}.at(1); });
  EXPECT_EQ(standard.category(), "model");
  EXPECT_THAT(standard.what(), HasSubstr("head of task 'bone': map::at"));
  const Error torch = caught([] { at::ones({2}) + at::ones({3}); });
  EXPECT_EQ(torch.category(), "model");
  EXPECT_THAT(torch.what(), HasSubstr("head of task 'bone': The size of tensor a (2)"));
}

TEST(Place, KeepsCategoryAndHintOfAnErrorAndItsInnermostPlace) {
  const Error error =
      caught([] { at_place("sharing", [] { throw data_error("no item", "it has: image"); }); });
  EXPECT_EQ(error.category(), "data");
  EXPECT_STREQ(error.what(), "sharing: no item");
  EXPECT_EQ(error.hint(), "it has: image");
}

TEST(Place, LetsPassWhatIsNoFaultOfTheComponent) {
  const auto pass = [](auto exception) { at_place("here", [&] { throw exception; }); };
  EXPECT_THROW(pass(std::bad_alloc()), std::bad_alloc);
  EXPECT_THROW(pass(std::filesystem::filesystem_error("full", {})),
               std::filesystem::filesystem_error);
  EXPECT_THROW(pass(usage_error("wrong")), ConfigError);
  EXPECT_TRUE(is_out_of_memory(std::runtime_error("DefaultCPUAllocator: can't allocate memory")));
  EXPECT_FALSE(is_out_of_memory(data_error("can't allocate memory")));
}

}  // namespace
}  // namespace triptych

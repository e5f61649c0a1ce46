// SPDX-License-Identifier: Apache-2.0
#include "framework/image/class_table.h"

#include "tests/image/sample_volumes.h"

#include <set>

namespace triptych {
namespace {

TEST(ClassTable, NumberedClassesHaveDistinctColorsAndABlackBackground) {
  const ClassTable table = numbered_classes(60);
  ASSERT_EQ(table.size(), 60);
  EXPECT_EQ(table.names()[3], "class_3");
  EXPECT_EQ(table.classes[0].color, (std::array<std::uint8_t, 3>{0, 0, 0}));
  std::set<std::array<std::uint8_t, 3>> colors;
  for (const LabelClass& entry : table.classes) colors.insert(entry.color);
  EXPECT_EQ(colors.size(), 60u);
}

TEST(ClassTable, ReadsHexadecimalColors) {
  EXPECT_EQ(color_from_text("#ff8001"), (std::array<std::uint8_t, 3>{255, 128, 1}));
  for (const char* wrong : {"ff8001", "#ff800", "#ff80011", "#gg0000", "", "#-10000"}) {
    EXPECT_THAT(message_of([&] { color_from_text(wrong); }),
                ::testing::HasSubstr("data: color: expected #rrggbb"))
        << wrong;
  }
}

}  // namespace
}  // namespace triptych

// SPDX-License-Identifier: Apache-2.0
#include "framework/report/html_report.h"

#include "framework/core/file.h"
#include "framework/report/line_chart.h"

#include "tests/report/scratch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::HasSubstr;
using testing::Not;

HtmlReport sample() {
  HtmlReport report("Run <1> & more", "experiment=quickstart");
  report.add_section("Results");
  Table table({"method", "IoU"}, 2);
  table.add_row({"soft-3 <b>", 0.875});
  report.add_table(table, "IoU of each method");
  report.add_section("Curves");
  LineChart chart{.title = "loss"};
  chart.series = {{.name = "train", .x = {1, 2}, .y = {2, 1}}};
  report.add_chart(svg_of(chart), "loss over steps");
  report.add_picture(Picture(4, 4, kWhite), "a picture");
  report.add_slices(
      {Picture(4, 4), Picture(6, 2), Picture(5, 5)}, {"z 0", "z \"1\"", "z 2"}, "slices");
  report.add_text("resolved.yaml", "a: '<script>alert(1)</script>'\n");
  return report;
}

TEST(HtmlReport, IsWellFormed) {
  if (!program_exists("xmllint")) GTEST_SKIP() << "needs xmllint";
  const ScratchFolder scratch;
  sample().write(scratch / "report.html");
  EXPECT_EQ(
      run_command("xmllint --noout --nonet '" + (scratch / "report.html").string() + "'").output,
      "");
}

TEST(HtmlReport, EscapesEveryText) {
  const std::string page = sample().html();
  EXPECT_THAT(page, HasSubstr("<h1>Run &lt;1&gt; &amp; more</h1>"));
  EXPECT_THAT(page, HasSubstr("<td>soft-3 &lt;b&gt;</td><td class=\"number\">0.88</td>"));
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt;"));
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
}

TEST(HtmlReport, NeedsNothingFromOutside) {
  const std::string page = sample().html();
  for (const std::string word : {"src=\"", "href=\"", "url(", "@import"}) {
    for (auto at = page.find(word); at != std::string::npos; at = page.find(word, at + 1)) {
      const std::string target = page.substr(at + word.size(), 5);
      EXPECT_TRUE(target == "data:" || target[0] == '#') << word << target;
    }
  }
}

TEST(HtmlReport, ScriptAppearsOnlyWithSlices) {
  HtmlReport report("plain");
  report.add_paragraph("text");
  EXPECT_THAT(report.html(), Not(HasSubstr("<script")));
  EXPECT_THAT(sample().html(), HasSubstr("<script"));
  EXPECT_THAT(sample().html(), HasSubstr("max=\"2\" value=\"1\""));
}

TEST(Base64, AgreesWithRfc4648) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xff\xfe\xfd"), "//79");
}

}  // namespace
}  // namespace triptych

// SPDX-License-Identifier: Apache-2.0
#include "framework/core/file.h"
#include "framework/data/loader.h"
#include "framework/image/io.h"

#include "tests/data/moving_sample.h"
#include "tests/support/tensor_matchers.h"

#include <cstdlib>
#include <filesystem>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace triptych {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::BallScene;
using ::testing::ElementsAre;
using testing::error_message;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kClasses =
    "classes: [{name: background}, {name: ball, value: 7, color: '#ff0000'}]";

/// A folder of small real files, fresh for each test, with a cache folder of its own.
class VolumeFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(::testing::TempDir()) /
              fmt::format("triptych_{}_{}_{}", info->test_suite_name(), info->name(), getpid());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    setenv("XDG_CACHE_HOME", (folder_ / "cache").c_str(), 1);
    for (const char* id : {"a", "b", "c"}) write_sample(id);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  Volume image_volume() const {
    const BallScene scene({6, 8, 10});
    return {(scene.sample.at("image").data * 1000.0).to(at::kShort), scene.geometry, "", {}};
  }
  Volume label_volume() const {
    const BallScene scene({6, 8, 10});
    return {scene.sample.at("label").data * 7, scene.geometry, "", {}};
  }
  void write_sample(const std::string& id) const {
    write_volume(path(id + "_t1.nii.gz"), image_volume());
    write_labels(path(id + "_seg.nii.gz"), label_volume(), {});
  }

  std::shared_ptr<Dataset> make(const std::string& yaml) const {
    return DatasetRegistry::instance().create(
        config::parse_yaml("name: volume_files\n" + yaml, "test"));
  }
  std::string patterns() const {
    return fmt::format(
        "files: {{image: '{}', label: '{}'}}\n", path("*_t1.nii.gz"), path("*_seg.nii.gz"));
  }
  std::shared_ptr<Dataset> standard(const std::string& more = "") const {
    return make(patterns() + kClasses + "\n" + more);
  }

  fs::path folder_;
};

TEST_F(VolumeFiles, FindsSamplesByPattern) {
  const auto dataset = standard("modality: {image: mri}\nsplits: {test: [c]}");
  ASSERT_EQ(dataset->samples().size(), 3U);
  EXPECT_EQ(dataset->samples()[1].id, "b");
  EXPECT_EQ(dataset->samples()[1].find("image")->modality, "mri");
  EXPECT_EQ(dataset->samples()[1].find("image")->geometry.shape, (Index3{6, 8, 10}));
  EXPECT_EQ(dataset->split("test"), (std::vector<std::size_t>{2}));
  EXPECT_EQ(dataset->split("train"), (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(dataset->classes().names(), (std::vector<std::string>{"background", "ball"}));
  EXPECT_THAT(dataset->verify(), IsEmpty());
}

TEST_F(VolumeFiles, GivesEveryClassAColourOfItsOwn) {
  const auto dataset =
      make(patterns() +
           "classes: [{name: background}, {name: ball, value: 7, color: '#009e73'}, "
           "{name: shell}, {name: rest}, {name: last, color: '#56b4e9'}]");
  std::set<std::array<std::uint8_t, 3>> colours;
  for (const LabelClass& entry : dataset->classes().classes) colours.insert(entry.color);
  EXPECT_EQ(colours.size(), 5U) << "places 2 and 3 of the palette are given to other classes";
}

TEST_F(VolumeFiles, HarmonisesImagesByTheWholeVolumeAndIndexesLabels) {
  const auto dataset = standard();
  const Entry image = dataset->read_all(0, "image");
  EXPECT_EQ(image.data.scalar_type(), at::kFloat);
  EXPECT_EQ(image.data.max().item<double>(), 1.0);
  EXPECT_EQ(image.data.min().item<double>(), 0.0);
  const Entry label = dataset->read_all(0, "label");
  EXPECT_TRUE(at::equal(label.data, BallScene({6, 8, 10}).sample.at("label").data));
  check_same_grid(image.geometry, "image", label.geometry, "label");
  const Region region{{1, 2, 3}, {2, 3, 4}};
  const at::Tensor part = image.data.narrow(1, 1, 2).narrow(2, 2, 3).narrow(3, 3, 4);
  EXPECT_TRUE(at::equal(dataset->read(0, "image", region).data, part));
  EXPECT_LT((dataset->read(0, "image", region).geometry.origin -
             image.geometry.world_from_index({3, 2, 1}))
                .norm(),
            1e-9);
}

TEST_F(VolumeFiles, ReadsTheSameBitsWithAndWithoutMemory) {
  const auto cached = standard("memory: 1GB");
  const auto reread = standard("memory: 0B");
  const Region region{{2, 0, 1}, {3, 8, 5}};
  for (const char* entry : {"image", "label"}) {
    EXPECT_TRUE(at::equal(cached->read(1, entry, region).data, reread->read(1, entry, region).data))
        << entry;
    EXPECT_EQ(reread->read(1, entry, region).data.scalar_type(),
              cached->read(1, entry, region).data.scalar_type());
  }
}

TEST_F(VolumeFiles, ResamplesRegionsAsItResamplesWholes) {
  const std::string harmonise = "harmonise: {spacing_mm: [0.9, 0.7, 1.1]}\nmemory: ";
  const auto cached = standard(harmonise + "1GB");
  const auto reread = standard(harmonise + "0B");
  EXPECT_TRUE(cached->samples()[0].find("image")->geometry.spacing.isApprox(
      Eigen::Vector3d(0.9, 0.7, 1.1)));
  const Region region{{1, 2, 0}, {2, 3, 4}};
  EXPECT_TRUE(testing::near(
      cached->read(0, "image", region).data, reread->read(0, "image", region).data, 1e-5));
  EXPECT_TRUE(
      at::equal(cached->read(0, "label", region).data, reread->read(0, "label", region).data));
  EXPECT_TRUE(same_grid(cached->read(0, "image", region).geometry,
                        cached->read(0, "label", region).geometry));
  EXPECT_THAT(cached->verify(), IsEmpty());
}

TEST_F(VolumeFiles, ReadsManifestsInCsvAndYaml) {
  write_file_atomically(path("m.csv"),
                        "sample,split,image,label\n# a "
                        "comment\nx,train,a_t1.nii.gz,a_seg.nii.gz\n\"y\",test,\"b_t1.nii.gz\",\n");
  const auto csv = make(fmt::format("manifest: {}\n{}", path("m.csv"), kClasses));
  ASSERT_EQ(csv->samples().size(), 2U);
  EXPECT_EQ(csv->samples()[0].id, "x");
  EXPECT_EQ(csv->samples()[1].find("label"), nullptr) << "an empty cell is an absent entry";
  EXPECT_EQ(csv->split("test"), (std::vector<std::size_t>{1}));
  EXPECT_THAT(csv->verify(), IsEmpty());
  write_file_atomically(path("m.yaml"),
                        "samples:\n  - {sample: 12, image: a_t1.nii.gz, label: a_seg.nii.gz}\n  - "
                        "{sample: z, image: b_t1.nii.gz}\n");
  const auto yaml =
      make(fmt::format("manifest: {}\n{}\nsplits: {{validation: [z]}}", path("m.yaml"), kClasses));
  EXPECT_EQ(yaml->samples()[0].id, "12");
  EXPECT_EQ(yaml->split("validation"), (std::vector<std::size_t>{1}));
  EXPECT_TRUE(at::equal(yaml->read_all(0, "image").data, csv->read_all(0, "image").data));
}

TEST_F(VolumeFiles, TellsFaultyManifests) {
  const auto manifest = [&](const std::string& name, const std::string& text) {
    write_file_atomically(path(name), text);
    return error_message("data",
                         [&] { make(fmt::format("manifest: {}\n{}", path(name), kClasses)); });
  };
  EXPECT_THAT(manifest("a.csv", "id,image\n1,a.nii.gz\n"),
              HasSubstr("expected a column 'sample', got: id, image"));
  EXPECT_THAT(manifest("b.csv", "sample,image\nx,a.nii.gz,z\n"),
              HasSubstr("b.csv:2: expected 2 fields as in the first line, got 3"));
  EXPECT_THAT(manifest("c.csv", "sample,image\nx,a.nii.gz\nx,b.nii.gz\n"),
              HasSubstr("sample 'x' is listed twice"));
  EXPECT_THAT(manifest("d.csv", "sample,image\nx,a.nii.gz\ny,a.nii.gz\n"),
              HasSubstr("samples 'x' and 'y' are the same files"));
  EXPECT_THAT(manifest("d2.csv", "sample,image\nx,a.nii.gz\ny,./a.nii.gz\n"),
              HasSubstr("samples 'x' and 'y' are the same files"));
  EXPECT_THAT(manifest("e.csv", ""), HasSubstr("e.csv"));
  EXPECT_THAT(manifest("e2.csv", "sample,image,image\nx,a.nii.gz,b.nii.gz\n"),
              HasSubstr("the column 'image' occurs twice"));
  EXPECT_THAT(manifest("e3.csv", "sample,image\nx,a.nii.gz\n,b.nii.gz\n"),
              HasSubstr("e3.csv:3: expected a name in the column 'sample'"));
  EXPECT_THAT(manifest("e4.csv", "sample,image,\nx,a.nii.gz,b.nii.gz\n"),
              HasSubstr("e4.csv:2: 'b.nii.gz' stands in a column without a name"));
  EXPECT_THAT(manifest("f.yaml", "- {image: a.nii.gz}\n"), HasSubstr("expected the key 'sample'"));
  EXPECT_THAT(manifest("g.yaml", "image: a.nii.gz\n"), HasSubstr("expected a list of samples"));
  EXPECT_THAT(error_message("io", [&] { make("manifest: " + path("none.csv")); }),
              HasSubstr("none.csv"));
}

TEST_F(VolumeFiles, RefusesClassesAndSizesThatMakeNoSense) {
  const std::string files = "files: {image: " + path("*_t1.nii.gz") + "}\nlabel_entries: []\n";
  EXPECT_THAT(error_message("schema", [&] { make(files + "classes: [{name: a}, {name: a}]"); }),
              HasSubstr("lists the name 'a' twice"));
  EXPECT_THAT(error_message("schema", [&] { make(files + "classes: [{name: a, color: red}]"); }),
              HasSubstr("expects '#rrggbb', got 'red'"));
  EXPECT_THAT(error_message("schema", [&] { make(files + "memory: abc"); }),
              HasSubstr("'memory' 'abc': expected a number of bytes"));
}

TEST_F(VolumeFiles, WarnsOfFilesInTwoSplits) {
  const auto warning = [&](const std::string& rows) {
    write_file_atomically(path("m.csv"), "sample,split,image,label\n" + rows);
    ::testing::internal::CaptureStderr();
    make(fmt::format("manifest: {}\n{}", path("m.csv"), kClasses));
    return ::testing::internal::GetCapturedStderr();
  };
  EXPECT_THAT(warning("x,train,a_t1.nii.gz,a_seg.nii.gz\ny,test,./a_t1.nii.gz,b_seg.nii.gz\n"
                      "z,train,b_t1.nii.gz,c_seg.nii.gz\n"),
              HasSubstr("sample 'y' of split 'test' and sample 'x' of split 'train' share"));
  EXPECT_THAT(warning("x,train,a_t1.nii.gz,a_seg.nii.gz\ny,test,a_t1.nii.gz,b_seg.nii.gz\n"),
              IsEmpty())
      << "an image of all samples";
  EXPECT_THAT(warning("x,train,a_t1.nii.gz,a_seg.nii.gz\ny,train,a_t1.nii.gz,b_seg.nii.gz\n"
                      "z,test,b_t1.nii.gz,c_seg.nii.gz\n"),
              IsEmpty());
}

TEST_F(VolumeFiles, TellsFaultyPatterns) {
  fs::remove(path("b_seg.nii.gz"));
  EXPECT_THAT(error_message("data", [&] { standard(); }),
              AllOf(HasSubstr("sample 'b': no file for 'label'"), HasSubstr("b_t1.nii.gz")));
  EXPECT_EQ(standard("optional_entries: [label]")->samples()[1].find("label"), nullptr);
  EXPECT_THAT(error_message("data", [&] { make("files: {image: '" + path("*.png") + "'}"); }),
              HasSubstr("no file matches"));
  EXPECT_THAT(error_message("schema", [&] { make("files: {image: '" + path("*_*.gz") + "'}"); }),
              HasSubstr("at most one '*'"));
  EXPECT_THAT(error_message("schema", [&] { make(""); }),
              HasSubstr("either `files` or `manifest`"));
  EXPECT_THAT(
      error_message(
          "schema",
          [&] { standard("optional_entries: [label]\nsplits: {train: [a], validation: [a]}"); }),
      HasSubstr("sample 'a'"));
  EXPECT_THAT(error_message("schema",
                            [&] { standard("optional_entries: [label]\nmodality: {imag: mri}"); }),
              HasSubstr("did you mean 'image'"));
  EXPECT_THAT(error_message("schema", [&] { make(patterns() + "optional_entries: [label]"); }),
              HasSubstr("classes: expected the classes"));
}

TEST_F(VolumeFiles, VerifiesEverythingAndTellsAllFaultsAtOnce) {
  for (const char* id : {"nan", "flat", "values", "moved", "cut", "empty"}) write_sample(id);
  Volume image = image_volume();
  image.data = image.data.to(at::kFloat);
  image.data[0][1][1][1] = NAN;
  write_volume(path("nan_t1.nii.gz"), image);
  image.data = at::full_like(image.data, 3.0);
  write_volume(path("flat_t1.nii.gz"), image);
  Volume label = label_volume();
  label.data[0][0][0][0] = 9;
  write_labels(path("values_seg.nii.gz"), label, {});
  label = label_volume();
  label.geometry.origin[0] += 1.0;
  write_labels(path("moved_seg.nii.gz"), label, {});
  const std::string bytes = read_file(path("cut_t1.nii.gz"));
  write_file_atomically(path("cut_t1.nii.gz"), bytes.substr(0, bytes.size() / 2));
  write_file_atomically(path("empty_t1.nii.gz"), "");

  const auto check = [&](const std::vector<std::string>& faults) {
    EXPECT_EQ(faults.size(), 6U) << ::testing::PrintToString(faults);
    const auto any = [&](const std::string& a, const std::string& b) {
      EXPECT_THAT(faults, ::testing::Contains(AllOf(HasSubstr(a), HasSubstr(b))));
    };
    any("sample nan", "got 1 NaN or infinite");
    any("sample flat", "got 3 everywhere");
    any("values_seg.nii.gz", "expected label values 0, 7, got 9 (1 voxels)");
    any("sample moved", "moved_seg.nii.gz");
    any("sample cut", "cut_t1.nii.gz");
    any("sample empty", "empty_t1.nii.gz");
  };
  check(standard()->verify());
  EXPECT_TRUE(fs::exists(folder_ / "cache" / "triptych" / "volume_files.tsv"));
  check(standard()->verify());  // now from what was remembered
  EXPECT_THAT(standard("ignore_values: [9]")->verify(),
              ::testing::Not(::testing::Contains(HasSubstr("values_seg"))));
}

TEST_F(VolumeFiles, ForgetsAFileThatChanged) {
  EXPECT_THAT(standard()->verify(), IsEmpty());
  Volume image = image_volume();
  image.data = at::full_like(image.data, 3);
  write_volume(path("a_t1.nii.gz"), image);
  EXPECT_THAT(
      standard()->verify(),
      ElementsAre(HasSubstr("a_t1.nii.gz: expected an image with contrast, got 3 everywhere")));
}

TEST_F(VolumeFiles, WorksWithoutACacheFolder) {
  setenv("XDG_CACHE_HOME", "/proc/no_such_folder", 1);
  EXPECT_THAT(standard()->verify(), IsEmpty());
}

TEST_F(VolumeFiles, MapsIgnoredValuesToMinusOne) {
  Volume label = label_volume();
  label.data[0][0][0][0] = 9;
  write_labels(path("a_seg.nii.gz"), label, {});
  EXPECT_EQ(
      standard("ignore_values: [9]")->read_all(0, "label").data[0][0][0][0].item<std::int64_t>(),
      -1);
  EXPECT_THAT(error_message("data", [&] { standard()->read_all(0, "label"); }),
              HasSubstr("label value 9 is in no class"));
  EXPECT_THAT(error_message("schema", [&] { standard("ignore_values: [7]"); }),
              HasSubstr("label value 7 is listed twice"));
}

TEST_F(VolumeFiles, ReadsLandmarks) {
  for (const char* id : {"a", "b", "c"})
    write_file_atomically(path(std::string(id) + "_points.csv"),
                          "id,x_lps_mm,y_lps_mm,z_lps_mm\n1,1.5,-2,3e1\n2,0,0,0\n");
  const std::string files =
      fmt::format("files: {{image: '{}', points: '{}'}}\npoint_entries: [points]\n",
                  path("*_t1.nii.gz"),
                  path("*_points.csv"));
  const auto dataset = make(files);
  const Entry points = dataset->read_all(0, "points");
  EXPECT_EQ(points.kind, EntryKind::kPoints);
  EXPECT_TRUE(at::equal(points.data,
                        at::tensor({1.5, -2.0, 30.0, 0.0, 0.0, 0.0}, at::kDouble).view({2, 3})));
  EXPECT_EQ(points.geometry.shape, (Index3{6, 8, 10}));
  write_file_atomically(path("b_points.csv"), "x,y,z\n1,2,oops\n");
  EXPECT_THAT(make(files)->verify(),
              ElementsAre(HasSubstr("b_points.csv:2: expected a coordinate in mm, got 'oops'")));
}

TEST_F(VolumeFiles, FeedsTheLoader) {
  const auto dataset = standard("splits: {test: [c]}");
  Loader::Source source;
  source.dataset = dataset;
  SamplingConfig sampling;
  sampling.items = "patches";
  sampling.patch = {4, 4, 4};
  sampling.class_balanced = 0.5;
  source.sampler =
      std::make_shared<Sampler>(dataset, dataset->split("train"), sampling, "image", "label", 1);
  source.roles = {{"image", "image", true}, {"label", "label", true}};
  source.batch_size = 4;
  Loader loader(source, {.threads = 2, .queue = 2}, 0, 5);
  for (int step = 0; step < 5; ++step)
    EXPECT_EQ(loader.next().at("image").data.sizes(), (std::vector<std::int64_t>{4, 1, 4, 4, 4}));
}

TEST(RealData, BrainSlabsTrainAsSlicesOfThreeAxes) {
  const fs::path folder =
      fs::path(TRIPTYCH_SOURCE_DIR) / ".." / "shared" / "data" / "brain_slab_multi";
  if (!fs::exists(folder)) GTEST_SKIP() << "needs the development data";
  const auto dataset = DatasetRegistry::instance().create(
      config::parse_yaml(fmt::format("{{name: volume_files, files: {{image: '{0}/*_t1.nii.gz', "
                                     "label: '{0}/*_seg.nii.gz'}}, splits: {{test: [sub42]}}, "
                                     "classes: [{{name: background}}, {{name: csf}}, {{name: "
                                     "grey}}, {{name: white}}, {{name: deep_grey}}]}}",
                                     folder.string()),
                         "test"));
  EXPECT_THAT(dataset->verify(), IsEmpty());
  EXPECT_EQ(dataset->split("train").size(), 2U);
  EXPECT_EQ(dataset->samples()[0].find("image")->geometry.orientation(), "PSR");
  EXPECT_EQ(dataset->read_all(0, "label").data.max().item<std::int64_t>(), 4);
}

}  // namespace
}  // namespace triptych

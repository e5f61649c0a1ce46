// SPDX-License-Identifier: Apache-2.0
#include "framework/core/file.h"
#include "framework/image/io.h"

#include "tests/app/program.h"

#include <csignal>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

namespace triptych {
namespace {
namespace fs = std::filesystem;
using testing::failure;
using testing::fresh_folder;
using ::testing::HasSubstr;
using testing::run_program;
using testing::tiny_quickstart;

TEST(BadConfiguration, ReportsEveryMistakeAtOnceBeforeAnythingIsRead) {
  const fs::path folder = fresh_folder("bad_config");
  const std::string err = failure(folder,
                                  tiny_quickstart("run",
                                                  {"+trainer.max_stpes=3",
                                                   "optimizer.lr=-1",
                                                   "tasks.implant.losses=[{name: dcie}]",
                                                   "backbone.depth=2.5",
                                                   "+tasks.implant.batchsize=3"}),
                                  2);
  EXPECT_THAT(err, HasSubstr("max_stpes"));
  EXPECT_THAT(err, HasSubstr("did you mean 'max_steps'"));
  EXPECT_THAT(err, HasSubstr("optimizer.lr"));
  EXPECT_THAT(err, HasSubstr("dcie"));
  EXPECT_THAT(err, HasSubstr("backbone.depth"));
  EXPECT_THAT(err, HasSubstr("batchsize"));
  EXPECT_FALSE(fs::exists(folder / "run" / "checkpoints"));
}

TEST(BadConfiguration, NamesWhatIsThere) {
  const fs::path folder = fresh_folder("bad_names");
  EXPECT_THAT(failure(folder, {"train", "experiment=quikstart"}, 2), HasSubstr("quickstart"));
  EXPECT_THAT(failure(folder, tiny_quickstart("run", {"tasks.implant.roles.image=srtc"}), 2),
              HasSubstr("did you mean 'srct'"));
  EXPECT_THAT(failure(folder, tiny_quickstart("run", {"tasks.implant.dataset=phantom"}), 2),
              HasSubstr("phantoms"));
  EXPECT_THAT(failure(folder, tiny_quickstart("run", {"tasks.implant.head.num_classes=3"}), 2),
              HasSubstr("4 classes"));
  EXPECT_THAT(failure(folder, {"trian"}, 2), HasSubstr("did you mean 'train'"));
  EXPECT_THAT(failure(folder, {"train", "resume=nowhere"}, 1),
              HasSubstr("resolved.yaml is missing"));
  EXPECT_THAT(failure(folder, tiny_quickstart("run", {"device=cuda:7"}), 2), HasSubstr("device"));
}

TEST(BadConfiguration, LeavesNoFolderBehind) {
  const fs::path folder = fresh_folder("bad_early");
  EXPECT_THAT(failure(folder, tiny_quickstart("run", {"threads=100000"}), 2),
              HasSubstr("expected at most 1024, got 100000"));
  EXPECT_THAT(failure(folder, tiny_quickstart("run", {"device=gpu"}), 2),
              HasSubstr("'device' expects auto, cpu, cuda or cuda:<index>, got 'gpu'"));
  EXPECT_THAT(failure(folder, tiny_quickstart("run", {"device=cuda:99"}), 2),
              HasSubstr("'cuda:99' is not there"));
  EXPECT_THAT(failure(folder, tiny_quickstart("run", {"optimizer.lr=inf"}), 2),
              HasSubstr("'optimizer.lr' must be finite"));
  EXPECT_FALSE(fs::exists(folder / "run"));
  EXPECT_THAT(failure(folder, {"compose", "--config-dir", ""}, 2), HasSubstr("needs a value"));
  EXPECT_THAT(failure(folder, {"generate", "output="}, 2), HasSubstr("must be a folder"));
  EXPECT_THAT(failure(folder, {"generate", "output=data", "splits=[train,train]"}, 2),
              HasSubstr("'splits' names a split twice"));
  EXPECT_THAT(failure(folder, {"generate", "output=data", "splits=[]"}, 1),
              HasSubstr("no samples"));
  EXPECT_THAT(failure(folder, {"generate", "-m", "output=data", "dataset.train=1,2"}, 2),
              HasSubstr("generate: --multirun has no effect"));
}

/// A data set of two good samples in which the test breaks something.
class BadData : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fresh_folder("bad_data");
    for (const char* id : {"a", "b"}) {
      write_volume(path(id, "image"), Volume{at::rand({1, 8, 8, 8}), geometry(), "", {}});
      write_labels(path(id, "label"),
                   Volume{at::randint(0, 2, {1, 8, 8, 8}, at::kLong), geometry(), "", {}},
                   numbered_classes(2));
    }
  }
  static Geometry geometry() { return {.shape = {8, 8, 8}}; }
  std::string path(const std::string& id, const std::string& what) const {
    return (folder_ / (id + "_" + what + ".nii.gz")).string();
  }
  std::string train(int code = 1) {
    return failure(folder_,
                   {"train",
                    "experiment=volume_segmentation",
                    "hydra.run.dir=run",
                    "device=cpu",
                    "trainer.max_steps=1",
                    "backbone.width=4",
                    "backbone.depth=2",
                    "tasks.segmentation.head.num_classes=2",
                    "+datasets.volumes.files.image=*_image.nii.gz",
                    "+datasets.volumes.files.label=*_label.nii.gz",
                    "datasets.volumes.classes=[{name: background}, {name: bone}]"},
                   code);
  }
  fs::path folder_;
};

TEST_F(BadData, NamesUnreadableFiles) {
  write_file_atomically(path("a", "image"), "");
  const std::string whole = read_file(path("b", "image"));
  write_file_atomically(path("b", "image"), whole.substr(0, whole.size() / 2));
  const std::string err = train();
  EXPECT_THAT(err, HasSubstr("a_image.nii.gz"));
  EXPECT_THAT(err, HasSubstr("b_image.nii.gz"));
}

TEST_F(BadData, FindsNanConstantAndForeignLabelsAtOnce) {
  Volume nan{at::rand({1, 8, 8, 8}), geometry(), "", {}};
  nan.data[0][0][0][0] = std::nan("");
  write_volume(path("a", "image"), nan);
  write_volume(path("b", "image"), Volume{at::full({1, 8, 8, 8}, 3.0), geometry(), "", {}});
  write_labels(path("b", "label"),
               Volume{at::full({1, 8, 8, 8}, 7, at::kLong), geometry(), "", {}},
               numbered_classes(8));
  const std::string err = train();
  EXPECT_THAT(err, HasSubstr("NaN"));
  EXPECT_THAT(err, HasSubstr("contrast"));
  EXPECT_THAT(err, HasSubstr("7"));
}

TEST_F(BadData, ComparesTheGeometryOfImageAndLabel) {
  Geometry moved = geometry();
  moved.origin = {1.0, 2.0, 3.0};
  write_labels(path("a", "label"),
               Volume{at::zeros({1, 8, 8, 8}, at::kLong), moved, "", {}},
               numbered_classes(2));
  EXPECT_THAT(train(), HasSubstr("a_label.nii.gz"));
}

TEST_F(BadData, ComparesTheDimensionOfImageAndLabel) {
  write_labels(path("a", "label"),
               Volume{at::zeros({1, 1, 8, 8}, at::kLong), {.shape = {1, 8, 8}}, "", {}},
               numbered_classes(2));
  EXPECT_THAT(train(), HasSubstr("a_label.nii.gz"));
}

TEST_F(BadData, NamesTheSampleThatLacksItsLabel) {
  fs::remove(path("b", "label"));
  EXPECT_THAT(train(), HasSubstr("b"));
}

TEST_F(BadData, KeepsTheImageThatAPictureIsDrawnFrom) {
  const fs::path image = folder_ / "slice.png";
  const at::Tensor grey = at::arange(64, at::kByte).view({1, 1, 8, 8});
  write_volume(image.string(), Volume{grey, {.shape = {1, 8, 8}}, "", {}});
  const std::string before = read_file(image);
  const std::string input = "input.image=" + image.string();
  EXPECT_THAT(failure(folder_, {"render", input, "output=./slice.png"}, 2), HasSubstr("lost"));
  EXPECT_THAT(failure(folder_, {"render", input, "output=slice.nii.gz"}, 2), HasSubstr(".png"));
  EXPECT_THAT(failure(folder_, {"render", input, "input.labels=x.png", "output=picture.png"}, 2),
              HasSubstr("got input.labels"));
  EXPECT_THAT(failure(folder_, {"predict", "run=run", input, "output=./slice.png"}, 2),
              HasSubstr("lost"));
  EXPECT_EQ(read_file(image), before);
}

TEST_F(BadData, RefusesLabelsTooManyForATable) {
  write_labels(path("a", "label"),
               Volume{at::full({1, 8, 8, 8}, 70000, at::kLong), geometry(), "", {}},
               numbered_classes(2));
  const std::string labels = path("a", "label");
  const std::string image = path("a", "image");
  EXPECT_THAT(
      failure(
          folder_, {"render", "input.image=" + image, "input.label=" + labels, "output=x.png"}, 1),
      HasSubstr("got 70000"));
  EXPECT_THAT(
      failure(folder_, {"evaluate", "input.prediction=" + labels, "input.reference=" + labels}, 1),
      HasSubstr("got 70000"));
}

/// No file may grow beyond `bytes` while it lives: what a full disk looks like to a program. Child
/// processes inherit it.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    handler_ = ::signal(SIGXFSZ, SIG_IGN);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit before_{};
  sighandler_t handler_ = SIG_DFL;
};

TEST(FullDisk, EndsTrainingWithOneLineAndNoHalfCheckpoint) {
  const fs::path folder = fresh_folder("full_disk");
  const FileSizeLimit limit(16 * 1024);
  const std::string err = failure(folder, tiny_quickstart("run", {"trainer.overlays=0"}), 1);
  EXPECT_THAT(err, HasSubstr("error[io]"));
  EXPECT_THAT(err, HasSubstr("free space"));
  EXPECT_FALSE(fs::exists(folder / "run/checkpoints/last/state.yaml"));
  EXPECT_THAT(read_file(folder / "run/run.json"), HasSubstr("\"failed\""));
}

TEST(LightProgram, DoesNotLoadLibTorch) {
  const fs::path folder = fresh_folder("light");
  const std::string bytes = read_file(TRIPTYCH_PROGRAM);
  EXPECT_EQ(bytes.find("libtorch"), std::string::npos);
  EXPECT_EQ(run_program({"--help"}, folder).code, 0);
  EXPECT_THAT(run_program({"--version"}, folder).out, HasSubstr("0."));
  for (const char* verb :
       {"train", "predict", "evaluate", "generate", "render", "describe", "summary", "compose"}) {
    const auto help = run_program({verb, "--help"}, folder);
    EXPECT_EQ(help.code, 0);
    EXPECT_THAT(help.out, HasSubstr("triptych"));
  }
}

TEST(Summary, StatesThePublishedSizes) {
  const fs::path folder = fresh_folder("summary");
  const auto check = [&](int width,
                         int depth,
                         const char* parameters,
                         const char* bottleneck,
                         const char* output) {
    const auto finished = run_program({"summary",
                                       "experiment=quickstart",
                                       "backbone.width=" + std::to_string(width),
                                       "backbone.depth=" + std::to_string(depth)},
                                      folder);
    ASSERT_EQ(finished.code, 0) << finished.err;
    EXPECT_THAT(finished.out, HasSubstr(parameters));
    EXPECT_THAT(finished.out, HasSubstr(bottleneck));
    EXPECT_THAT(finished.out, HasSubstr(output));
  };
  check(32, 3, "1.9", "68 x 68", "100 x 100");
  check(64, 4, "31.0", "140 x 140", "204 x 204");
}

TEST(Describe, ListsComponentsAndTheirFields) {
  const fs::path folder = fresh_folder("describe");
  const std::string all = run_program({"describe"}, folder).out;
  for (const char* name : {"optimizer", "adamw", "jaccard2", "cube_symmetry"})
    EXPECT_THAT(all, HasSubstr(name));
  const std::string head = run_program({"describe", "head", "segmentation"}, folder).out;
  EXPECT_THAT(head, HasSubstr("heads/segmentation.cc"));
  EXPECT_THAT(head, HasSubstr("num_classes"));
  EXPECT_THAT(run_program({"describe", "optimizer"}, folder).out, HasSubstr("nesterov"));
  EXPECT_THAT(run_program({"describe", "task"}, folder).out, HasSubstr("sampling.class_balanced"));
  EXPECT_THAT(run_program({"describe", "--json"}, folder).out, HasSubstr("\"smooth\""));
  EXPECT_THAT(failure(folder, {"describe", "head", "segmentatoin"}, 2),
              HasSubstr("did you mean 'segmentation'"));
}

}  // namespace
}  // namespace triptych

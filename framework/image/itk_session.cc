// SPDX-License-Identifier: Apache-2.0
#include "framework/image/itk_session.h"

#include "framework/core/file.h"
#include "framework/core/log.h"
#include "framework/core/parallel.h"

#include <mutex>
#include <sstream>

#include <gdcmTrace.h>
#include <itkGDCMImageIO.h>
#include <itkJPEGImageIO.h>
#include <itkMetaImageIO.h>
#include <itkMultiThreaderBase.h>
#include <itkNiftiImageIO.h>
#include <itkNrrdImageIO.h>
#include <itkOutputWindow.h>
#include <itkPNGImageIO.h>
#include <itkVTKImageIO.h>
#include <nifti1_io.h>

namespace triptych {
namespace {

/// Sends ITK's warnings to the log; its errors are exceptions.
class LogWindow final : public itk::OutputWindow {
 public:
  using Self = LogWindow;
  using Superclass = itk::OutputWindow;
  using Pointer = itk::SmartPointer<Self>;
  itkFactorylessNewMacro(Self);

  void DisplayText(const char* text) override { TRIPTYCH_LOG(debug, "ITK: {}", text); }
};

}  // namespace

void prepare_itk() {
  static std::once_flag once;
  std::call_once(once, [] {
    itk::OutputWindow::SetInstance(LogWindow::New());
    itk::MultiThreaderBase::SetGlobalDefaultNumberOfThreads(num_threads());
    nifti_set_debug_level(0);
    gdcm::Trace::WarningOff();
    gdcm::Trace::ErrorOff();
  });
}

itk::SmartPointer<itk::ImageIOBase> create_itk_io(const std::string& format) {
  if (format == "nifti") return itk::NiftiImageIO::New().GetPointer();
  if (format == "metaimage") return itk::MetaImageIO::New().GetPointer();
  if (format == "nrrd") return itk::NrrdImageIO::New().GetPointer();
  if (format == "vtk") return itk::VTKImageIO::New().GetPointer();
  if (format == "png") return itk::PNGImageIO::New().GetPointer();
  if (format == "jpeg") return itk::JPEGImageIO::New().GetPointer();
  return itk::GDCMImageIO::New().GetPointer();
}

std::string itk_format(const std::filesystem::path& file) {
  const std::string extension = file_extension(file);
  if (extension == ".nii" || extension == ".nii.gz" || extension == ".hdr") return "nifti";
  if (extension == ".mha" || extension == ".mhd") return "metaimage";
  if (extension == ".nrrd" || extension == ".seg.nrrd" || extension == ".nhdr") return "nrrd";
  if (extension == ".vtk") return "vtk";
  if (extension == ".png") return "png";
  if (extension == ".jpg" || extension == ".jpeg") return "jpeg";
  return "dicom";
}

std::string one_line(const char* description) {
  std::istringstream stream(description);
  std::string line;
  for (std::string word; stream >> word;) {
    if (word == "ITK" || word == "ERROR:" || word.find("ImageIO(0x") != std::string::npos) continue;
    line += (line.empty() ? "" : " ") + word;
  }
  return line.size() > 300 ? line.substr(0, 300) + "..." : line;
}

}  // namespace triptych

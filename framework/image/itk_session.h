// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

namespace itk {
template <typename Object>
class SmartPointer;
class ImageIOBase;
}  // namespace itk

namespace triptych {

/// Sends ITK's and GDCM's warnings to the log instead of the terminal, and gives ITK our number of
/// threads; once.
void prepare_itk();
/// "nifti", "metaimage", "nrrd", "vtk", "png", "jpeg", else "dicom"; by extension.
std::string itk_format(const std::filesystem::path& file);
itk::SmartPointer<itk::ImageIOBase> create_itk_io(const std::string& format);
/// ITK's descriptions are several lines with its own source positions in front; this keeps what a
/// reader can use.
std::string one_line(const char* description);

}  // namespace triptych

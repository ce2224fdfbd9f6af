// Sums the lines of each tag of HdrHistogram logs with the reference implementation and prints
// "FILE TAG COUNT P50 P90 P99 P99.9 MAX MEAN". Run as a single-file program: java -cp hdrhistogram.jar HlogSums.java FILE...
// SPDX-License-Identifier: MIT
import java.io.File;
import java.util.LinkedHashMap;
import java.util.Map;
import org.HdrHistogram.Histogram;
import org.HdrHistogram.HistogramLogReader;

public class HlogSums {
	public static void main(String[] args) throws Exception {
		for (String path : args) {
			Map<String, Histogram> sums = new LinkedHashMap<>();
			HistogramLogReader reader = new HistogramLogReader(path);
			while (reader.hasNext()) {
				Histogram h = (Histogram) reader.nextIntervalHistogram();
				if (h == null)
					break;
				String tag = h.getTag() == null ? "-" : h.getTag();
				Histogram sum = sums.get(tag);
				if (sum == null)
					sums.put(tag, h);
				else
					sum.add(h);
			}
			String name = new File(path).getName().replace(".hlog", "");
			for (Map.Entry<String, Histogram> e : sums.entrySet()) {
				Histogram h = e.getValue();
				System.out.println(name + " " + e.getKey() + " " + h.getTotalCount() + " " + h.getValueAtPercentile(50.0) + " "
					+ h.getValueAtPercentile(90.0) + " " + h.getValueAtPercentile(99.0) + " "
					+ h.getValueAtPercentile(99.9) + " " + h.getMaxValue() + " " + h.getMean());
			}
		}
	}
}

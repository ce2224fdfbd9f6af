// Reads an HdrHistogram log with the reference implementation and prints "line|sum TAG COUNT P50 P99 MAX".
// Run as a single-file program: java -cp hdrhistogram.jar HlogRead.java FILE
// SPDX-License-Identifier: MIT
import java.util.LinkedHashMap;
import java.util.Map;
import org.HdrHistogram.EncodableHistogram;
import org.HdrHistogram.Histogram;
import org.HdrHistogram.HistogramLogReader;

public class HlogRead {
	static void print(String kind, String tag, Histogram h) {
		System.out.println(kind + " " + tag + " " + h.getTotalCount() + " " + h.getValueAtPercentile(50.0) + " "
			+ h.getValueAtPercentile(99.0) + " " + h.getMaxValue());
	}

	public static void main(String[] args) throws Exception {
		Map<String, Histogram> sums = new LinkedHashMap<>();
		HistogramLogReader reader = new HistogramLogReader(args[0]);
		long startMs = 1700000000000L;
		while (reader.hasNext()) {
			EncodableHistogram next = reader.nextIntervalHistogram();
			if (next == null)
				break;
			Histogram h = (Histogram) next;
			if (h.getStartTimeStamp() != startMs || h.getEndTimeStamp() != startMs + 1000) {
				System.err.println("HlogRead: wrong times: " + h.getStartTimeStamp() + " " + h.getEndTimeStamp());
				System.exit(1);
			}
			startMs += 1000;
			print("line", h.getTag(), h);
			Histogram sum = sums.get(h.getTag());
			if (sum == null)
				sums.put(h.getTag(), h.copy());
			else
				sum.add(h);
		}
		for (Map.Entry<String, Histogram> e : sums.entrySet())
			print("sum", e.getKey(), e.getValue());
	}
}
